//! Agent hints as the value of the request header `Agent-Hints`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use std::ops::RangeInclusive;

use crate::{
    AgentHints, BranchId, BundleId, DegradePolicy, HintReuse, HintSession, HintState, Qos, QosClass,
    ReusePreference, ReuseScope, SessionId,
};

/// Hints that cannot be sent in, or read from, the header `Agent-Hints`.
///
/// A server ignores hints that it cannot take, all of them for one bad value, and without telling. That is why they are
/// checked before they are sent, by the rules of the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HintsError {
    /// The encoded value is longer than [`AgentHints::MAX_HEADER_BYTES`]. Store the hints and send their id instead.
    #[error("agent hints are {0} bytes as a header, more than the {max} that are read", max = AgentHints::MAX_HEADER_BYTES)]
    TooLong(usize),
    /// A member is out of its range, not one of the known values, or no id of its kind.
    #[error(
        "a server would ignore all of these agent hints, because it does not take the value of `{member}`"
    )]
    Invalid {
        /// The path of the member, for example `qos.priority`.
        member: &'static str,
    },
    /// The value is not base64url without padding.
    #[error("agent hints are not base64url without padding")]
    NotBase64,
    /// The decoded value is not the JSON of agent hints.
    #[error("agent hints are not valid JSON hints")]
    NotHints(#[source] serde_json::Error),
}

impl AgentHints {
    /// The largest header value that is read, in bytes: 8 KiB.
    pub const MAX_HEADER_BYTES: usize = 8 * 1024;

    /// The value for the header `Agent-Hints`: the JSON as base64url without padding.
    ///
    /// # Errors
    ///
    /// [`HintsError::Invalid`] for a value that a server does not take, enum values unknown to this version included;
    /// [`HintsError::TooLong`] when the value is longer than [`MAX_HEADER_BYTES`](Self::MAX_HEADER_BYTES);
    /// [`HintsError::NotHints`] when a member cannot be written as JSON.
    pub fn to_header_value(&self) -> Result<String, HintsError> {
        if let Some(member) = self.refused() {
            return Err(HintsError::Invalid { member });
        }
        let json = serde_json::to_vec(self).map_err(HintsError::NotHints)?;
        let value = URL_SAFE_NO_PAD.encode(json);
        if value.len() > Self::MAX_HEADER_BYTES {
            return Err(HintsError::TooLong(value.len()));
        }
        Ok(value)
    }

    /// Reads the value of the header `Agent-Hints`.
    ///
    /// # Errors
    ///
    /// When it is too long, no base64url or no hints. The contract wants a server to ignore such a value.
    pub fn from_header_value(value: &str) -> Result<Self, HintsError> {
        if value.len() > Self::MAX_HEADER_BYTES {
            return Err(HintsError::TooLong(value.len()));
        }
        let json = URL_SAFE_NO_PAD.decode(value).map_err(|_| HintsError::NotBase64)?;
        serde_json::from_slice(&json).map_err(HintsError::NotHints)
    }
}

impl Qos {
    /// What [`target_ttft_ms`](Self#structfield.target_ttft_ms) may be.
    pub const TARGET_TTFT_MS: RangeInclusive<u64> = 1..=u64::MAX;
    /// What [`deadline_ms`](Self#structfield.deadline_ms) may be.
    pub const DEADLINE_MS: RangeInclusive<u64> = 1..=u64::MAX;
    /// What [`priority`](Self#structfield.priority) may be.
    pub const PRIORITY: RangeInclusive<u64> = 0..=255;
}

/// The rules by which a server reads hints. A law of the server's handler holds the two together.
impl AgentHints {
    /// The first member with a value that is not taken.
    fn refused(&self) -> Option<&'static str> {
        let session = self.session.as_ref().and_then(HintSession::refused);
        let state = || self.state.as_ref().and_then(HintState::refused);
        let reuse = || self.reuse.as_ref().and_then(HintReuse::refused);
        session.or_else(state).or_else(reuse).or_else(|| self.qos.as_ref().and_then(Qos::refused))
    }
}

impl HintSession {
    fn refused(&self) -> Option<&'static str> {
        let session = self.session_id.as_ref().map(|id| id.as_str().parse::<SessionId>().is_ok());
        let branch = self.branch_id.as_ref().map(|id| id.as_str().parse::<BranchId>().is_ok());
        first_refused([("session.session_id", session), ("session.branch_id", branch)])
    }
}

impl HintState {
    fn refused(&self) -> Option<&'static str> {
        let is_id = |id: &BundleId| id.as_str().parse::<BundleId>().is_ok();
        let bundles = self.bundle_refs.as_ref().map(|bundles| bundles.iter().all(is_id));
        first_refused([("state.bundle_refs", bundles)])
    }
}

impl HintReuse {
    fn refused(&self) -> Option<&'static str> {
        let preference = self.preference.as_ref().map(ReusePreference::is_known);
        let scope = self.scope.as_ref().map(ReuseScope::is_known);
        first_refused([("reuse.preference", preference), ("reuse.scope", scope)])
    }
}

impl Qos {
    fn refused(&self) -> Option<&'static str> {
        first_refused([
            ("qos.class", self.class.as_ref().map(QosClass::is_known)),
            ("qos.target_ttft_ms", self.target_ttft_ms.map(|ms| Self::TARGET_TTFT_MS.contains(&ms))),
            ("qos.deadline_ms", self.deadline_ms.map(|ms| Self::DEADLINE_MS.contains(&ms))),
            ("qos.priority", self.priority.map(|priority| Self::PRIORITY.contains(&priority))),
            ("qos.degrade_policy", self.degrade_policy.as_ref().map(DegradePolicy::is_known)),
        ])
    }
}

/// The first member that is there and not taken.
fn first_refused<const N: usize>(members: [(&'static str, Option<bool>); N]) -> Option<&'static str> {
    members.into_iter().find(|(_, taken)| *taken == Some(false)).map(|(member, _)| member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_encode_as_the_contract_shows() {
        let hints = AgentHints::new()
            .version("2026-06-01")
            .qos(Qos::new().class(QosClass::Interactive).target_ttft_ms(500));
        let value = hints.to_header_value().unwrap();
        assert_eq!(
            value,
            "eyJ2ZXJzaW9uIjoiMjAyNi0wNi0wMSIsInFvcyI6eyJjbGFzcyI6ImludGVyYWN0aXZlIiwidGFyZ2V0X3R0ZnRfbXMiOjUwMH19"
        );
        assert_eq!(AgentHints::from_header_value(&value).unwrap(), hints);
    }

    #[test]
    fn hints_over_eight_kibibytes_are_refused_before_they_are_sent() {
        let hints = AgentHints::new().state(HintState::new().placement_preference("x".repeat(6200)));
        assert!(matches!(hints.to_header_value(), Err(HintsError::TooLong(length)) if length > 8192));
    }

    #[test]
    fn a_value_that_no_server_takes_is_refused_before_it_is_sent() {
        let qos = |qos: Qos| AgentHints::new().qos(qos);
        let session: SessionId = serde_json::from_str("\"br_1\"").unwrap();
        for (hints, member) in [
            (qos(Qos::new().deadline_ms(5_000).priority(300)), "qos.priority"),
            (qos(Qos::new().deadline_ms(0)), "qos.deadline_ms"),
            (qos(Qos::new().target_ttft_ms(0)), "qos.target_ttft_ms"),
            (qos(Qos::new().class("interactiv")), "qos.class"),
            (qos(Qos::new().degrade_policy("never")), "qos.degrade_policy"),
            (AgentHints::new().reuse(HintReuse::new().scope("planet")), "reuse.scope"),
            (AgentHints::new().session(HintSession::new().session_id(session)), "session.session_id"),
        ] {
            let error = hints.to_header_value().unwrap_err();
            assert!(error.to_string().contains(&format!("`{member}`")), "{error}");
        }
        assert!(qos(Qos::new().deadline_ms(1).priority(255)).to_header_value().is_ok());
    }

    #[test]
    fn unreadable_hints_say_why() {
        assert!(matches!(AgentHints::from_header_value("e30="), Err(HintsError::NotBase64)));
        assert!(matches!(AgentHints::from_header_value("W10"), Err(HintsError::NotHints(_))));
        assert!(matches!(AgentHints::from_header_value(&"A".repeat(8193)), Err(HintsError::TooLong(8193))));
    }
}
