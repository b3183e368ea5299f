//! Nothing but what was signed verifies.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{KEYS, RECEIPT, REPORT, json, keys, sign_unchecked, test_key};
use serde_json::{Value, json};
use zumik_receipt::{
    CanonicalError, ClaimError, KeyError, SignError, SigningKey, VerifyError, read, verify, verify_report,
};
use zumik_types::{Guarantee, ReceiptKeyId, ReceiptKeySet};

/// Every text that differs from `text` in one byte, which has become one of `others`.
fn one_byte_changes<I>(text: &str, others: fn(u8) -> I) -> impl Iterator<Item = Vec<u8>> + '_
where
    I: IntoIterator<Item = u8> + 'static,
{
    text.bytes().enumerate().flat_map(move |(position, original)| {
        others(original).into_iter().filter(move |byte| *byte != original).map(move |byte| {
            let mut changed = text.as_bytes().to_vec();
            changed[position] = byte;
            changed
        })
    })
}

fn any_byte(_: u8) -> std::ops::RangeInclusive<u8> {
    0..=u8::MAX
}

fn one_bit_flipped(byte: u8) -> [u8; 8] {
    std::array::from_fn(|bit| byte ^ (1 << bit))
}

/// A document without whitespace, so that every byte means something.
fn compact(text: &str) -> String {
    json(text).to_string()
}

#[test]
fn every_change_of_one_bit_of_a_receipt_is_rejected() {
    let (receipt, keys) = (compact(RECEIPT), keys());
    verify(&json(&receipt), &keys).unwrap();
    for changed in one_byte_changes(&receipt, one_bit_flipped) {
        let accepted = read(&changed).is_ok_and(|value| verify(&value, &keys).is_ok());
        assert!(!accepted, "{}", String::from_utf8_lossy(&changed));
    }
}

#[test]
fn every_change_of_one_bit_of_a_report_is_rejected() {
    let (report, keys) = (compact(REPORT), keys());
    verify_report(&json(&report), &keys).unwrap();
    for changed in one_byte_changes(&report, one_bit_flipped) {
        let accepted = read(&changed).is_ok_and(|value| verify_report(&value, &keys).is_ok());
        assert!(!accepted, "{}", String::from_utf8_lossy(&changed));
    }
}

#[test]
fn every_change_of_one_byte_of_digest_and_signature_is_rejected() {
    for pointer in ["/digest", "/signature/algorithm", "/signature/key_id", "/signature/value"] {
        let sample = json(RECEIPT);
        let original = sample.pointer(pointer).unwrap().as_str().unwrap();
        for changed in one_byte_changes(original, any_byte) {
            let Ok(changed) = String::from_utf8(changed) else { continue };
            refused(|receipt| *receipt.pointer_mut(pointer).unwrap() = json!(changed));
        }
    }
}

#[test]
fn every_change_of_one_byte_of_the_key_set_is_rejected() {
    let (receipt, keys) = (json(RECEIPT), compact(KEYS));
    for changed in one_byte_changes(&keys, any_byte) {
        let keys = serde_json::from_slice::<ReceiptKeySet>(&changed);
        let accepted = keys.is_ok_and(|keys| verify(&receipt, &keys).is_ok());
        assert!(!accepted, "{}", String::from_utf8_lossy(&changed));
    }
}

/// Why the sample receipt is refused after a change to it.
fn refused(change: impl FnOnce(&mut Value)) -> VerifyError {
    let mut receipt = json(RECEIPT);
    change(&mut receipt);
    verify(&receipt, &keys()).unwrap_err()
}

/// Why the sample receipt is refused after a change to the key that signed it.
fn refused_with_key(change: impl FnOnce(&mut Value)) -> VerifyError {
    let mut keys = json(KEYS);
    change(&mut keys["keys"][0]);
    verify(&json(RECEIPT), &serde_json::from_value(keys).unwrap()).unwrap_err()
}

/// Why the sample receipt is refused when it is changed and then signed by the right key.
fn refused_though_signed(change: impl FnOnce(&mut Value)) -> VerifyError {
    let mut receipt = json(RECEIPT);
    change(&mut receipt);
    verify(&sign_unchecked(receipt), &keys()).unwrap_err()
}

#[test]
fn a_changed_member_does_not_match_the_digest() {
    for pointer in ["/id", "/completed_at", "/scope/artifact_ids/0", "/guarantee", "/processors/3/guarantee"]
    {
        let error =
            refused(|receipt| *receipt.pointer_mut(pointer).unwrap() = json!("verified_physical_purge"));
        assert!(matches!(error, VerifyError::DigestMismatch { .. }), "{pointer}: {error}");
    }
    let error = refused(|receipt| receipt["note"] = json!("added"));
    assert!(matches!(error, VerifyError::DigestMismatch { .. }), "{error}");
    let error = refused(|receipt| receipt["digest"] = json!("sha256:00"));
    assert_eq!(
        error.to_string(),
        "the digest of the document is sha256:822baa470e2165a01bacc51ea0cf6719ad36b2d0f3ff1c2f371fcfe96fed3b16, \
         but it states \"sha256:00\""
    );
}

#[test]
fn a_signature_of_another_document_does_not_verify() {
    let error = refused(|receipt| receipt["signature"] = json(REPORT)["signature"].clone());
    assert_eq!(error.to_string(), "the signature does not verify with the key rk_01jy7n0b5d9n3v7w0r4xsyz8ce");
    assert!(matches!(error, VerifyError::BadSignature { .. }));
}

#[test]
fn a_signature_has_one_spelling_only() {
    let sample = json(RECEIPT)["signature"]["value"].as_str().unwrap().to_owned();
    // The last character carries two bits of the signature and four that must be zero.
    let trailing_bits = format!("{}x", &sample[..sample.len() - 1]);
    let standard_alphabet = sample.replace('-', "+").replace('_', "/");
    for spelling in
        [format!("{sample}=="), trailing_bits, standard_alphabet, String::new(), "AAAA".to_owned()]
    {
        let error = refused(|receipt| receipt["signature"]["value"] = json!(spelling));
        assert!(matches!(error, VerifyError::MalformedSignature), "{spelling}: {error}");
    }

    // The same scalar, not reduced by the order of the group.
    let mut signature: Vec<u8> = BASE64_URL_SAFE_NO_PAD.decode(&sample).unwrap();
    add_group_order(&mut signature[32..]);
    let error =
        refused(|receipt| receipt["signature"]["value"] = json!(BASE64_URL_SAFE_NO_PAD.encode(signature)));
    assert!(matches!(error, VerifyError::BadSignature { .. }), "{error}");
}

#[test]
fn a_signature_with_a_weak_point_does_not_verify_although_its_equation_holds() {
    // R is the neutral element and S = k·a: the owner of the key could make it, but Ed25519 never does.
    let weak = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACKTjlhY1_EXepIQhvNFdtfw6-25zkNu7Hfw_UgEhMrCw";
    let error = refused(|receipt| receipt["signature"]["value"] = json!(weak));
    assert!(matches!(error, VerifyError::BadSignature { .. }), "{error}");
}

/// Adds 2^252 + 27742317777372353535851937790883648493 to a little-endian number.
fn add_group_order(scalar: &mut [u8]) {
    let mut order = [0; 32];
    order[..16].copy_from_slice(&27_742_317_777_372_353_535_851_937_790_883_648_493_u128.to_le_bytes());
    order[31] = 0x10;
    let mut carry = 0;
    for (digit, addend) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*digit) + u16::from(addend) + carry;
        *digit = sum as u8;
        carry = sum >> 8;
    }
}

#[test]
fn another_algorithm_is_not_supported() {
    let error = refused(|receipt| receipt["signature"]["algorithm"] = json!("none"));
    assert_eq!(error.to_string(), r#"the signature algorithm "none" is not supported"#);
}

#[test]
fn a_key_that_is_not_listed_or_listed_twice_is_not_used() {
    let error = refused(|receipt| receipt["signature"]["key_id"] = json!("rk_other"));
    assert_eq!(error.to_string(), "the key set has no key rk_other");

    let mut twice = keys();
    twice.keys.extend(keys().keys);
    let error = verify(&json(RECEIPT), &twice).unwrap_err();
    assert!(matches!(error, VerifyError::AmbiguousKey { .. }), "{error}");
}

#[test]
fn a_retired_key_beside_others_still_verifies() {
    let mut several = keys();
    several
        .keys
        .insert(0, SigningKey::from_seed("rk_new".parse::<ReceiptKeyId>().unwrap(), &[7; 32]).public_key());
    verify(&json(RECEIPT), &several).unwrap();
}

#[test]
fn the_right_id_on_another_key_does_not_verify() {
    let other = SigningKey::from_seed(test_key().id(), &[7; 32]).public_key();
    let error = refused_with_key(|key| *key = json!(other));
    assert!(matches!(error, VerifyError::BadSignature { .. }), "{error}");
}

#[test]
fn a_key_for_something_else_is_unusable() {
    for (member, value) in [("kty", "RSA"), ("crv", "X25519"), ("use", "enc"), ("alg", "HS256")] {
        let error = refused_with_key(|key| key[member] = json!(value));
        let VerifyError::UnusableKey { source: KeyError::WrongMember { member: found, .. }, .. } = error
        else {
            panic!("{member}: {error}");
        };
        assert_eq!(found, member);
    }
}

#[test]
fn a_key_that_is_no_good_point_is_unusable() {
    let unusable = |bytes: &[u8]| {
        let error = refused_with_key(|key| key["x"] = json!(BASE64_URL_SAFE_NO_PAD.encode(bytes)));
        let VerifyError::UnusableKey { source, .. } = error else { panic!("{error}") };
        source
    };
    let point = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    assert_eq!(unusable(&[1; 31]), KeyError::Encoding);
    assert_eq!(unusable(&point(2, 0, 0)), KeyError::NotAPoint, "y = 2 is on no point");
    assert_eq!(unusable(&point(1, 0, 0)), KeyError::Weak, "the neutral element");
    assert_eq!(unusable(&point(0, 0, 0)), KeyError::Weak, "a point of order 4");
    assert_eq!(unusable(&point(0xec, 0xff, 0x7f)), KeyError::Weak, "the point of order 2");
    assert_eq!(unusable(&point(0xf0, 0xff, 0x7f)), KeyError::NotAPoint, "y = 3, spelled 3 + 2^255 - 19");
}

#[test]
fn a_receipt_with_two_members_of_one_name_is_not_read() {
    let text = compact(RECEIPT).replacen('{', r#"{"guarantee":"verified_physical_purge","#, 1);
    read(text.as_bytes()).unwrap_err();
}

#[test]
fn what_is_not_a_receipt_is_malformed() {
    for document in [json!(null), json!([]), json!({}), json!("text")] {
        let error = verify(&document, &keys()).unwrap_err();
        assert!(matches!(error, VerifyError::Malformed { object: "purge_receipt", .. }), "{error}");
    }
    for member in ["object", "digest", "signature"] {
        let error = refused(|receipt| drop(receipt.as_object_mut().unwrap().remove(member)));
        assert!(matches!(error, VerifyError::Malformed { .. }), "{member}: {error}");
    }
    let error = refused_though_signed(|receipt| receipt["processors"] = json!("all"));
    assert!(matches!(error, VerifyError::Malformed { .. }), "{error}");
}

#[test]
fn a_signed_receipt_must_not_claim_more_or_less_than_its_processors_achieved() {
    for claimed in ["verified_physical_purge", "expiry_bound", "sealed_in_concrete"] {
        let error = refused_though_signed(|receipt| receipt["guarantee"] = json!(claimed));
        let VerifyError::Claim(source) = error else { panic!("{claimed}: {error}") };
        assert_eq!(
            source.to_string(),
            format!(
                "the receipt claims {claimed}, but the weakest guarantee of its processors is \
                 verified_namespace_invalidation"
            )
        );
    }
    let error = refused_though_signed(|receipt| receipt["processors"] = json!([]));
    assert!(matches!(error, VerifyError::Claim(ClaimError::NoProcessors { .. })), "{error}");
}

#[test]
fn an_unknown_class_does_not_stand_for_another_unknown_class() {
    let error = refused_though_signed(|receipt| {
        receipt["guarantee"] = json!("sealed_in_concrete");
        receipt["processors"][1]["guarantee"] = json!("shot_into_the_sun");
    });
    assert!(matches!(error, VerifyError::Claim(ClaimError::NotTheWeakest { .. })), "{error}");
}

#[test]
fn a_signed_receipt_with_an_unknown_class_verifies_and_satisfies_nothing() {
    let mut receipt = json(RECEIPT);
    receipt["guarantee"] = json!("sealed_in_concrete");
    receipt["processors"][1]["guarantee"] = json!("shot_into_the_sun");
    receipt["processors"][2]["guarantee"] = json!("sealed_in_concrete");
    let verified = verify(&sign_unchecked(receipt), &keys()).unwrap();
    verified.require(Guarantee::HandleRevocation).unwrap_err();
}

#[test]
fn numbers_without_an_exact_canonical_form_are_refused_although_signed() {
    let error = refused_though_signed(|receipt| receipt["namespace_generation"] = json!(7.0));
    assert!(matches!(error, VerifyError::NotCanonical(CanonicalError::NotAnInteger { .. })), "{error}");
    let error = refused(|receipt| receipt["namespace_generation"] = json!(1_u64 << 53));
    assert!(matches!(error, VerifyError::NotCanonical(CanonicalError::IntegerTooLarge { .. })), "{error}");
}

#[test]
fn what_would_not_verify_is_not_signed() {
    let refused = |change: fn(&mut Value)| {
        let mut receipt = json(RECEIPT);
        change(&mut receipt);
        test_key().sign(&receipt).unwrap_err()
    };
    assert!(matches!(refused(|receipt| *receipt = json!(7)), SignError::Malformed(_)));
    assert!(matches!(refused(|receipt| receipt["object"] = json!(7)), SignError::Malformed(_)));
    assert!(matches!(refused(|receipt| receipt["scope"] = json!(7)), SignError::Malformed(_)));
    assert!(matches!(
        refused(|receipt| receipt["object"] = json!("file")),
        SignError::UnsupportedObject { .. }
    ));
    assert!(matches!(refused(|receipt| receipt["ratio"] = json!(0.5)), SignError::NotCanonical(_)));
    assert!(matches!(refused(|receipt| receipt["processors"] = json!([])), SignError::Claim(_)));
}
