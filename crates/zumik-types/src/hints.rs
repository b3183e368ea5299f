//! Agent hints as the value of the request header `Agent-Hints`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::AgentHints;

/// Hints that cannot be sent in, or read from, the header `Agent-Hints`.
///
/// A server ignores hints that it cannot read, without telling. That is why they are checked before they are sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HintsError {
    /// The encoded value is longer than [`AgentHints::MAX_HEADER_BYTES`]. Store the hints and send their id instead.
    #[error("agent hints are {0} bytes as a header, more than the {max} that are read", max = AgentHints::MAX_HEADER_BYTES)]
    TooLong(usize),
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
    /// [`HintsError::TooLong`] when the value is longer than [`MAX_HEADER_BYTES`](Self::MAX_HEADER_BYTES);
    /// [`HintsError::NotHints`] when a member cannot be written as JSON.
    pub fn to_header_value(&self) -> Result<String, HintsError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HintState, Qos, QosClass};

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
    fn unreadable_hints_say_why() {
        assert!(matches!(AgentHints::from_header_value("e30="), Err(HintsError::NotBase64)));
        assert!(matches!(AgentHints::from_header_value("W10"), Err(HintsError::NotHints(_))));
        assert!(matches!(AgentHints::from_header_value(&"A".repeat(8193)), Err(HintsError::TooLong(8193))));
    }
}
