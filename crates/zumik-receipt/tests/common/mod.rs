//! The samples of the contract, and the key that signed them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use serde_json::{Value, json};
use zumik_receipt::{Digest, Numbers, SigningKey, canonicalize};
use zumik_types::{ReceiptKeyId, ReceiptKeySet};

pub(crate) const RECEIPT: &str = include_str!("../samples/receipt.json");
pub(crate) const RECEIPT_WITH_PROVIDER_WINDOW: &str =
    include_str!("../samples/receipt_with_provider_window.json");
pub(crate) const REPORT: &str = include_str!("../samples/report.json");
pub(crate) const KEYS: &str = include_str!("../samples/keys.json");

/// The private key of RFC 8037, appendix A.1.
const TEST_SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
    0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn keys() -> ReceiptKeySet {
    serde_json::from_str(KEYS).unwrap()
}

pub(crate) fn test_key() -> SigningKey {
    let id: ReceiptKeyId = "rk_01jy7n0b5d9n3v7w0r4xsyz8ce".parse().unwrap();
    SigningKey::from_seed(id, &TEST_SEED)
}

/// Puts a valid digest and signature on anything, also on what [`SigningKey::sign`] refuses.
pub(crate) fn sign_unchecked(mut document: Value) -> Value {
    let members = document.as_object_mut().unwrap();
    members.remove("digest");
    members.remove("signature");
    let digest = Digest::of(&canonicalize(members, Numbers::Any).unwrap());
    let signature = ed25519_dalek::SigningKey::from_bytes(&TEST_SEED).sign(digest.as_bytes());
    members.insert("digest".to_owned(), json!(digest.to_string()));
    members.insert(
        "signature".to_owned(),
        json!({
            "algorithm": "ed25519",
            "key_id": test_key().id(),
            "value": BASE64_URL_SAFE_NO_PAD.encode(signature.to_bytes()),
        }),
    );
    document
}
