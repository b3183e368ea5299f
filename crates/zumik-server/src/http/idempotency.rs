//! The key that makes a POST safe to repeat.

use bytes::Bytes;
use http::HeaderName;
use http::request::Parts;
use sha2::{Digest, Sha256};

use super::ApiError;
use super::input::Form;
use crate::store::Idempotency;

/// The request header that carries the key.
pub(crate) const KEY: HeaderName = HeaderName::from_static("agent-idempotency-key");

/// The response header that tells a replay from a first answer.
pub(crate) const REPLAY: HeaderName = HeaderName::from_static("agent-idempotent-replay");

const LONGEST: usize = 255;

/// Whether this is a request whose key is honored: a POST that has one.
pub(crate) fn carries_key(head: &Parts) -> bool {
    head.method == http::Method::POST && head.headers.contains_key(KEY)
}

/// What the request is recognized by, if it carries a key. `form` is its body, where that is one that can be read.
///
/// # Errors
/// 400 when the key is not 1 to 255 visible ASCII characters.
pub(crate) fn identify(
    head: &Parts,
    body: &Bytes,
    form: Option<&Form>,
) -> Result<Option<Idempotency>, ApiError> {
    if !carries_key(head) {
        return Ok(None);
    }
    let mut values = head.headers.get_all(KEY).iter().map(|value| value.as_bytes());
    let key = match (values.next(), values.next()) {
        (Some(key), None) if is_token(key) => String::from_utf8_lossy(key).into_owned(),
        _ => {
            return Err(ApiError::invalid(
                "Agent-Idempotency-Key",
                "'Agent-Idempotency-Key' must be one value of 1 to 255 visible ASCII characters.",
            ));
        }
    };
    let fingerprint = fingerprint(head, body, form);
    Ok(Some(Idempotency { path: head.uri.path().to_owned(), key, fingerprint }))
}

fn is_token(key: &[u8]) -> bool {
    (1..=LONGEST).contains(&key.len()) && key.iter().all(|byte| matches!(byte, 0x21..=0x7e))
}

/// SHA-256 of method, path and body; of a form, its parts. A form that cannot be read counts as any other body: its
/// handler will refuse it.
fn fingerprint(head: &Parts, body: &Bytes, form: Option<&Form>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(head.method.as_str());
    hash.update([0]);
    hash.update(head.uri.path());
    hash.update([0]);
    match form {
        Some(form) => form.digest_into(&mut hash),
        None => hash.update(body),
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn head(method: &str, keys: &[&str]) -> Parts {
        let mut request = Request::builder().method(method).uri("/v2/artifacts?x=1");
        for key in keys {
            request = request.header(KEY, HeaderValue::from_bytes(key.as_bytes()).unwrap());
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_a_post_is_recognized_by_its_key() {
        let body = Bytes::from_static(b"{}");
        let known = identify(&head("POST", &["k"]), &body, None).unwrap().unwrap();
        assert_eq!((known.path.as_str(), known.key.as_str()), ("/v2/artifacts", "k"));
        for method in ["GET", "PUT", "DELETE"] {
            assert!(identify(&head(method, &["k"]), &body, None).unwrap().is_none());
        }
        assert!(identify(&head("POST", &[]), &body, None).unwrap().is_none());
    }

    #[test]
    fn a_malformed_key_is_refused_by_name() {
        let long = "x".repeat(256);
        for keys in [&[""][..], &["a b"], &["caf\u{e9}"], &["a\tb"], &[&long], &["a", "b"]] {
            let error = identify(&head("POST", keys), &Bytes::new(), None).unwrap_err();
            assert_eq!(error.param(), Some("Agent-Idempotency-Key"), "{keys:?}");
        }
        let longest = "~".repeat(255);
        assert!(identify(&head("POST", &[&longest]), &Bytes::new(), None).unwrap().is_some());
    }

    #[test]
    fn another_body_is_another_request() {
        let one = identify(&head("POST", &["k"]), &Bytes::from_static(b"1"), None).unwrap().unwrap();
        let two = identify(&head("POST", &["k"]), &Bytes::from_static(b"2"), None).unwrap().unwrap();
        assert_ne!(one.fingerprint, two.fingerprint);
    }
}
