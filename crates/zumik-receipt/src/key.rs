//! Public keys: from a JWK of the key set to one that verifies.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::VerifyingKey;
use zumik_types::{ReceiptKey, ReceiptKeyId, ReceiptKeySet};

use crate::VerifyError;

/// The public half of the test key of RFC 8037, appendix A.
const RFC_8037_TEST_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// Why an entry of the key set is not a key that verifies receipts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// `kty`, `crv`, `use` or `alg` is not what receipts are signed with.
    #[error("its `{member}` is {found}, not {expected}")]
    WrongMember {
        /// Name of the member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// `x` is not 32 bytes in base64url without padding.
    #[error("its `x` is not 32 bytes in base64url without padding")]
    Encoding,
    /// `x` is not the (canonical) encoding of a point of the curve.
    #[error("its `x` is not a point of the curve")]
    NotAPoint,
    /// The point is of low order: one signature would verify for almost every document.
    #[error("its `x` is a weak key")]
    Weak,
}

/// Whether `key` is the published test key of RFC 8037, appendix A, whose private half everybody knows. It must never
/// sign anything outside tests.
pub fn is_test_key(key: &ReceiptKey) -> bool {
    key.x == RFC_8037_TEST_KEY
}

/// [`is_test_key`] for a decoded key.
pub(crate) fn is_test(key: &VerifyingKey) -> bool {
    decode_base64(RFC_8037_TEST_KEY).is_some_and(|test: [u8; 32]| *key.as_bytes() == test)
}

/// The key of the set with this id.
pub(crate) fn find(keys: &ReceiptKeySet, id: &ReceiptKeyId) -> Result<VerifyingKey, VerifyError> {
    let mut found = keys.keys.iter().filter(|key| key.kid == *id);
    let key = found.next().ok_or_else(|| VerifyError::UnknownKey { key_id: id.clone() })?;
    if found.next().is_some() {
        return Err(VerifyError::AmbiguousKey { key_id: id.clone() });
    }
    decode(key).map_err(|source| VerifyError::UnusableKey { key_id: id.clone(), source })
}

fn decode(key: &ReceiptKey) -> Result<VerifyingKey, KeyError> {
    let members = [
        ("kty", "OKP", &key.kty),
        ("crv", "Ed25519", &key.crv),
        ("use", "sig", &key.usage),
        ("alg", "EdDSA", &key.alg),
    ];
    for (member, expected, found) in members {
        if found.as_str() != expected {
            return Err(KeyError::WrongMember { member, expected, found: found.to_string() });
        }
    }
    let bytes = decode_base64(&key.x).ok_or(KeyError::Encoding)?;
    let point = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotAPoint)?;
    if point.is_weak() {
        return Err(KeyError::Weak);
    }
    // The library also takes a point in a second, non-canonical spelling (ZIP 215); RFC 8032, 5.1.3 does not.
    if VerifyingKey::from(point.to_edwards()).to_bytes() != bytes {
        return Err(KeyError::NotAPoint);
    }
    Ok(point)
}

/// Exactly `N` bytes in base64url without padding, in their one canonical spelling.
pub(crate) fn decode_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}
