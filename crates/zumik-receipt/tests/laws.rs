//! Laws that hold for every receipt and report.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{keys, test_key};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use zumik_receipt::{MAX_INTEGER, Numbers, SignError, canonicalize, read, verify, verify_report};
use zumik_types::{DiagnosticReport, Extra, Guarantee, ObjectType, PurgeProcessor, PurgeReceipt};

/// A receipt as a server would issue it, before it is signed.
fn receipt() -> impl Strategy<Value = PurgeReceipt> {
    let unknown_members = vec(
        (
            "x_[a-z]{1,8}",
            prop_oneof![
                any::<String>().prop_map(Value::from),
                (0..=MAX_INTEGER).prop_map(Value::from),
                Just(json!({ "nested": [null, true] })),
            ],
        ),
        0..3,
    );
    let processors = vec(any::<PurgeProcessor>(), 1..5);
    (any::<PurgeReceipt>(), processors, 0..=MAX_INTEGER, unknown_members).prop_map(
        |(mut receipt, mut processors, generation, unknown_members)| {
            processors.iter_mut().for_each(|processor| processor.extra = Extra::new());
            receipt.guarantee =
                Guarantee::weakest(processors.iter().map(|processor| &processor.guarantee)).unwrap().clone();
            receipt.object = ObjectType::PurgeReceipt;
            receipt.processors = processors;
            receipt.namespace_generation = generation;
            receipt.scope.extra = Extra::new();
            receipt.signature.extra = Extra::new();
            receipt.extra = unknown_members.into_iter().collect();
            receipt
        },
    )
}

fn signed(mut receipt: PurgeReceipt) -> PurgeReceipt {
    let signed = test_key().sign(&receipt).unwrap();
    receipt.digest = signed.digest.to_string();
    receipt.signature = signed.signature;
    receipt
}

/// JSON pointers of everything in a value that can be changed to something else.
fn leaves(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| leaves(item, format!("{pointer}/{index}"), found));
        }
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| leaves(member, format!("{pointer}/{name}"), found));
        }
        _ => found.push(pointer),
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_verifies(receipt in receipt()) {
        let receipt = signed(receipt);
        let verified = verify(&receipt, &keys()).unwrap();
        prop_assert_eq!(&*verified, &receipt);
        let text = serde_json::to_vec_pretty(&receipt).unwrap();
        prop_assert_eq!(verify(&read(&text).unwrap(), &keys()).unwrap(), verified);
    }

    #[test]
    fn signing_again_changes_nothing(receipt in receipt()) {
        let once = signed(receipt);
        prop_assert_eq!(signed(once.clone()), once);
    }

    #[test]
    fn a_change_anywhere_is_noticed(receipt in receipt(), place: prop::sample::Index) {
        let mut receipt = json!(signed(receipt));
        let mut places = Vec::new();
        leaves(&receipt, String::new(), &mut places);
        let place = place.get(&places);
        let leaf = receipt.pointer_mut(place).unwrap();
        *leaf = match leaf.take() {
            Value::Null => json!("now"),
            Value::String(text) => json!(text + "x"),
            Value::Number(number) => json!(number.as_u64().unwrap() ^ 1),
            other => json!(other != json!(true)),
        };
        prop_assert!(verify(&receipt, &keys()).is_err(), "{place}");
    }

    #[test]
    fn a_member_left_out_is_noticed(receipt in receipt(), place: prop::sample::Index) {
        let mut receipt = json!(signed(receipt));
        let names: Vec<String> = receipt.as_object().unwrap().keys().cloned().collect();
        let name = place.get(&names);
        receipt.as_object_mut().unwrap().remove(name);
        prop_assert!(verify(&receipt, &keys()).is_err(), "{name}");
    }

    #[test]
    fn any_report_either_verifies_or_is_not_signed(mut report: DiagnosticReport) {
        report.object = ObjectType::DiagnosticReport;
        match test_key().sign(&report) {
            Ok(signed) => {
                report.digest = signed.digest.to_string();
                report.signature = signed.signature;
                let verified = verify_report(&report, &keys()).unwrap();
                prop_assert_eq!(verified.digest().to_string(), report.digest.clone());
            }
            Err(error) => prop_assert!(matches!(error, SignError::NotCanonical(_)), "{error}"),
        }
    }

    #[test]
    fn the_canonical_form_is_the_same_for_every_spelling(receipt in receipt()) {
        let canonical = canonicalize(&receipt, Numbers::Integers).unwrap();
        let pretty: Value = serde_json::from_slice(&serde_json::to_vec_pretty(&receipt).unwrap()).unwrap();
        prop_assert_eq!(&canonicalize(&pretty, Numbers::Any).unwrap(), &canonical);
        let again: Value = serde_json::from_slice(&canonical).unwrap();
        prop_assert_eq!(canonicalize(&again, Numbers::Integers).unwrap(), canonical);
    }

    #[test]
    fn reading_never_panics(text in any::<Vec<u8>>()) {
        let _ = read(&text);
    }
}
