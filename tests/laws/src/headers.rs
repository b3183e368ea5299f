use http::HeaderValue;
use zumik_client::types::AgentHints;
use zumik_server::fuzzing::{bearer, hints};
use zumik_server::seal::MasterKey;

/// Keys and hints are read as what they are and as nothing else. The input is a text that is tried as each of them.
pub fn headers(input: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(input) {
        authorization(&value);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    agent_hints(text);
    let digits = text.trim();
    let is_key = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert_eq!(MasterKey::parse(text).is_ok(), is_key, "{text:?}");
}

/// A key is what stands behind the scheme, whole.
fn authorization(value: &HeaderValue) {
    let Some(key) = bearer(value.clone()) else { return };
    assert!(!key.is_empty() && key.trim_ascii() == key);
    let whole = value.as_bytes().trim_ascii();
    assert!(whole.ends_with(&key));
    let scheme = whole[..whole.len() - key.len()].trim_ascii();
    assert!(scheme.eq_ignore_ascii_case(b"bearer"), "{whole:?}");
}

/// What the server takes for hints, the client does, and both see the same wishes; written again, they are the same.
fn agent_hints(text: &str) {
    let Some(read) = hints(text) else { return };
    let of_client = AgentHints::from_header_value(text).expect("hints of the server are some of the client");
    assert_eq!(of_client.qos.is_some(), read.qos.is_some());
    assert_eq!(of_client.routing.is_some(), read.routing.is_some());
    let written = read.to_header_value().expect("hints that the server took are sent");
    assert_eq!(hints(&written).as_ref(), Some(&read));
}
