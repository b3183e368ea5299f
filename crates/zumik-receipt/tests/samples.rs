//! Every signed sample of the contract verifies, and can be made again to the letter.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{KEYS, RECEIPT, RECEIPT_WITH_PROVIDER_WINDOW, REPORT, json, keys, test_key};
use serde_json::json;
use zumik_receipt::{VerifyError, is_test_key, verify, verify_report};
use zumik_types::{DiagnosticReport, Guarantee, PurgeReceipt};

#[test]
fn the_receipts_of_the_contract_verify_as_json_and_as_types() {
    for (text, guarantee) in [
        (RECEIPT, Guarantee::VerifiedNamespaceInvalidation),
        (RECEIPT_WITH_PROVIDER_WINDOW, Guarantee::ExpiryBound),
    ] {
        let typed: PurgeReceipt = serde_json::from_str(text).unwrap();
        for verified in [verify(&json(text), &keys()), verify(&typed, &keys())] {
            let verified = verified.unwrap();
            assert_eq!(verified.guarantee, guarantee);
            assert_eq!(verified.digest().to_string(), json(text)["digest"]);
            assert_eq!(verified.key_id().as_str(), "rk_01jy7n0b5d9n3v7w0r4xsyz8ce");
            assert_eq!(verified.into_inner(), typed);
        }
    }
}

#[test]
fn the_report_of_the_contract_verifies_as_json_and_as_types() {
    let typed: DiagnosticReport = serde_json::from_str(REPORT).unwrap();
    for verified in [verify_report(&json(REPORT), &keys()), verify_report(&typed, &keys())] {
        let verified = verified.unwrap();
        assert_eq!(verified.workload_reuse_score, 85);
        assert_eq!(verified.into_inner(), typed);
    }
}

#[test]
fn the_key_of_rfc_8037_makes_every_digest_and_signature_of_the_contract_again() {
    for text in [RECEIPT, RECEIPT_WITH_PROVIDER_WINDOW, REPORT] {
        let sample = json(text);
        let signed = test_key().sign(&sample).unwrap();
        assert_eq!(signed.digest.to_string(), sample["digest"]);
        assert_eq!(json!(signed.signature), sample["signature"]);
    }
    assert_eq!(json!({ "keys": [test_key().public_key()] }), json(KEYS));
}

#[test]
fn a_guarantee_is_enough_for_itself_and_for_less() {
    let verified = || verify(&json(RECEIPT), &keys()).unwrap();
    verified().require(Guarantee::VerifiedNamespaceInvalidation).unwrap();
    verified().require(Guarantee::ExpiryBound).unwrap();
    let error = verified().require(Guarantee::VerifiedPhysicalPurge).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the purge achieved verified_namespace_invalidation, which does not satisfy the required \
         verified_physical_purge"
    );
}

#[test]
fn the_published_test_key_is_recognized() {
    assert!(test_key().is_test_key());
    assert!(is_test_key(&keys().keys[0]));
    assert!(verify(&json(RECEIPT), &keys()).unwrap().signed_with_test_key());

    let other = zumik_receipt::SigningKey::from_seed(test_key().id(), &[7; 32]);
    assert!(!other.is_test_key());
    assert!(!is_test_key(&other.public_key()));
}

#[test]
fn neither_kind_of_document_passes_for_the_other() {
    let error = verify(&json(REPORT), &keys()).unwrap_err();
    assert_eq!(error.to_string(), r#"the document is a "diagnostic_report", not a "purge_receipt""#);
    let error = verify_report(&json(RECEIPT), &keys()).unwrap_err();
    assert!(matches!(error, VerifyError::WrongObject { .. }), "{error}");
}

#[test]
fn an_unknown_member_is_part_of_what_is_signed() {
    let mut receipt = json(RECEIPT);
    receipt["legal_hold"] = json!({ "until": null });
    receipt["processors"][0]["region"] = json!("eu");
    let signed = test_key().sign(&receipt).unwrap();
    receipt["digest"] = json!(signed.digest.to_string());
    receipt["signature"] = json!(signed.signature);

    verify(&receipt, &keys()).unwrap();
    let typed: PurgeReceipt = serde_json::from_value(receipt.clone()).unwrap();
    verify(&typed, &keys()).unwrap();

    for pointer in ["/legal_hold/until", "/processors/0/region"] {
        let mut changed = receipt.clone();
        *changed.pointer_mut(pointer).unwrap() = json!("us");
        let error = verify(&changed, &keys()).unwrap_err();
        assert!(matches!(error, VerifyError::DigestMismatch { .. }), "{error}");
    }
}

#[test]
fn the_private_half_of_a_key_is_not_printed() {
    assert_eq!(
        format!("{:?}", test_key()),
        "SigningKey { id: ReceiptKeyId(rk_01jy7n0b5d9n3v7w0r4xsyz8ce), .. }"
    );
}
