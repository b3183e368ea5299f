//! Quality of service: what was asked for, and what came of it.

use zumik_types::{Extra, Qos, QosAdmission, QosOutcome};

/// What `wanted` asks for, and where it leaves something open, what `other` does.
pub(crate) fn or(wanted: Qos, other: Qos) -> Qos {
    Qos {
        class: wanted.class.or(other.class),
        target_ttft_ms: wanted.target_ttft_ms.or(other.target_ttft_ms),
        deadline_ms: wanted.deadline_ms.or(other.deadline_ms),
        priority: wanted.priority.or(other.priority),
        degrade_policy: wanted.degrade_policy.or(other.degrade_policy),
        extra: Extra::new(),
    }
}

/// The outcome, so far, of a call that was answered before it started.
pub(crate) fn queued() -> QosOutcome {
    QosOutcome {
        admission: QosAdmission::Queued,
        completion: None,
        target_met: None,
        ttft_ms: None,
        latency_ms: None,
        deadline_met: None,
        degraded: false,
        fallback_used: false,
        reason_code: None,
        extra: Extra::new(),
    }
}

#[cfg(test)]
mod tests {
    use zumik_types::QosClass;

    use super::*;

    #[test]
    fn what_one_leaves_open_the_other_fills() {
        let body = Qos { class: Some(QosClass::Interactive), deadline_ms: Some(1), ..Qos::default() };
        let hints = Qos { class: Some(QosClass::Batch), priority: Some(3), ..Qos::default() };
        let both = or(body, hints);
        assert_eq!(
            (both.class, both.deadline_ms, both.priority),
            (Some(QosClass::Interactive), Some(1), Some(3))
        );
    }
}
