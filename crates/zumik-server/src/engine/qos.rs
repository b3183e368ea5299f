//! Quality of service: what was asked for, and what came of it.

use std::time::Duration;

use zumik_types::{Extra, Qos, QosAdmission, QosCompletion, QosOutcome};

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

/// The outcome of a call that completed, `ttft` after it came in for the first token and `latency` for all.
pub(crate) fn completed(wanted: &Qos, ttft: Duration, latency: Duration) -> QosOutcome {
    let (ttft, latency) = (millis(ttft), millis(latency));
    let target_met = wanted.target_ttft_ms.map(|target| ttft <= target);
    QosOutcome {
        admission: QosAdmission::Admitted,
        completion: Some(QosCompletion::Completed),
        target_met,
        ttft_ms: Some(ttft),
        latency_ms: Some(latency),
        deadline_met: wanted.deadline_ms.map(|deadline| latency <= deadline),
        degraded: false,
        fallback_used: false,
        reason_code: (target_met == Some(false)).then(|| "target_ttft_missed".to_owned()),
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use zumik_types::QosClass;

    use super::*;

    fn wanted(target_ttft_ms: Option<u64>, deadline_ms: Option<u64>) -> Qos {
        Qos { target_ttft_ms, deadline_ms, ..Qos::default() }
    }

    #[test]
    fn targets_are_reported_only_when_they_were_set() {
        let outcome =
            |wanted: Qos| completed(&wanted, Duration::from_micros(12_900), Duration::from_millis(40));
        let open = outcome(wanted(None, None));
        assert_eq!((open.target_met, open.deadline_met, open.reason_code), (None, None, None));
        assert_eq!((open.ttft_ms, open.latency_ms), (Some(12), Some(40)));
        let met = outcome(wanted(Some(12), Some(40)));
        assert_eq!((met.target_met, met.deadline_met, met.reason_code), (Some(true), Some(true), None));
        let missed = outcome(wanted(Some(11), None));
        assert_eq!(
            (missed.target_met, missed.reason_code.as_deref()),
            (Some(false), Some("target_ttft_missed"))
        );
    }

    #[test]
    fn what_one_leaves_open_the_other_fills() {
        let body = Qos { class: Some(QosClass::Interactive), ..wanted(None, Some(1)) };
        let hints = Qos { class: Some(QosClass::Batch), priority: Some(3), ..Qos::default() };
        let both = or(body, hints);
        assert_eq!(
            (both.class, both.deadline_ms, both.priority),
            (Some(QosClass::Interactive), Some(1), Some(3))
        );
    }
}
