//! Who asks: from the `Authorization` header to a project and its scopes.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use zumik_types::Scope;

use super::ApiError;
use crate::store::{Caller, Store};

/// Whom the bearer key of a request belongs to.
///
/// The store knows keys by their SHA-256 only, so comparing cannot leak a key by its timing.
///
/// # Errors
/// 401 for a key that is missing, malformed, unknown or revoked, all alike.
pub(crate) async fn caller(store: &dyn Store, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let key = bearer(headers).ok_or_else(ApiError::unauthorized)?;
    store.authenticate(&Sha256::digest(key).into()).await?.ok_or_else(ApiError::unauthorized)
}

/// A scope by the name that keys carry it under.
pub(crate) const fn name(scope: Scope) -> &'static str {
    match scope {
        Scope::None => "none",
        Scope::Read => "read",
        Scope::Inference => "inference",
        Scope::Admin => "admin",
    }
}

/// The key of `Authorization: Bearer …`; the scheme is compared without case.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    // Two keys in one request: which of them counts must not depend on who reads them.
    if values.next().is_some() {
        return None;
    }
    let (scheme, key) = value.split_at_checked(b"Bearer ".len())?;
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_scheme_has_no_case_and_the_key_has() {
        for value in ["Bearer zk_live_A", "bearer zk_live_A", "BEARER   zk_live_A "] {
            assert_eq!(bearer(&headers(&[value])), Some(b"zk_live_A".as_slice()), "{value}");
        }
    }

    #[test]
    fn what_is_no_single_bearer_key_is_none() {
        for values in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Basic abc"],
            &["zk_live_A"],
            &["Bearer a", "Bearer a"],
        ] {
            let mut all = HeaderMap::new();
            for value in values {
                all.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(bearer(&all), None, "{values:?}");
        }
    }
}
