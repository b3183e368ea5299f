use std::sync::LazyLock;

use serde_json::{Value, json};
use zumik_client::types::{ReceiptKeyId, ReceiptKeySet};
use zumik_receipt::{Numbers, SigningKey, canonicalize, read, verify, verify_report};

/// The documents that were signed, and the keys that say so.
struct Signed {
    receipt: Vec<u8>,
    report: Vec<u8>,
    keys: ReceiptKeySet,
}

/// Signed with a key that nobody else has, so that nothing else may verify.
static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let id = ReceiptKeyId::with_suffix("01jy7n0b5d9n3v7w0r4xsyz8ce");
    let key = SigningKey::from_seed(id, b"a seed of these laws, 32 bytes. ");
    let sign = |text: &str| {
        let mut document: Value = serde_json::from_str(text).expect("a sample is JSON");
        let signed = key.sign(&document).expect("a sample can be signed");
        document["digest"] = json!(signed.digest.to_string());
        document["signature"] = json!(signed.signature);
        canonicalize(&document, Numbers::Any).expect("a sample has a canonical form")
    };
    let receipt = sign(include_str!("../../../crates/zumik-receipt/tests/samples/receipt.json"));
    let report = sign(include_str!("../../../crates/zumik-receipt/tests/samples/report.json"));
    let keys = json!({ "keys": [key.public_key()] });
    Signed { receipt, report, keys: serde_json::from_value(keys).expect("a key set") }
});

/// What verifies is what was signed, however it is written; and the canonical form of what is read is one.
///
/// The first byte says what the rest is: a document, or changes of the signed receipt or report, four bytes each.
pub fn receipt(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let Signed { receipt, report, keys } = &*SIGNED;
    let text = match kind {
        b'r' => changed(receipt, rest),
        b'd' => changed(report, rest),
        _ => rest.to_vec(),
    };
    let Ok(value) = read(&text) else { return };
    let canonical = canonicalize(&value, Numbers::Any);
    if let Ok(canonical) = &canonical {
        let again = read(canonical).expect("a canonical form is read");
        assert_eq!(&canonicalize(&again, Numbers::Any).expect("a canonical form has one"), canonical);
    }
    if let Ok(verified) = verify(&value, keys) {
        assert_eq!(canonical.as_ref().ok(), Some(receipt), "a receipt verifies that nobody signed");
        assert!(!verified.signed_with_test_key());
    }
    if verify_report(&value, keys).is_ok() {
        assert_eq!(canonical.as_ref().ok(), Some(report), "a report verifies that nobody signed");
    }
}

/// A text with changes: of each four bytes, the first two say where, the third how, the last with what.
fn changed(text: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for change in changes.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % text.len().max(1);
        match change[2] % 3 {
            _ if text.is_empty() => {}
            0 => text[at] = change[3],
            1 => text.insert(at, change[3]),
            _ => drop(text.remove(at)),
        }
    }
    text
}
