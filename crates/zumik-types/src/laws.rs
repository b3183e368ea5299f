//! The laws that the generated tests apply to every type.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::JsonObject;

/// A text that must never be printed.
pub(crate) const CANARY: &str = "canary-7f3a";

/// A number that must never be printed.
pub(crate) const CANARY_NUMBER: u64 = 7_303_807_303_807;

/// A documented sample decodes, and encodes to an equal JSON value. It is compared as text would be read by others:
/// in a tree in memory a single-precision number has more digits than anybody wrote.
pub(crate) fn assert_sample<T: Serialize + DeserializeOwned>(sample: &str) {
    let expected: Value = serde_json::from_str(sample).unwrap();
    let decoded: T = serde_json::from_str(sample).unwrap();
    let encoded = serde_json::from_str(&serde_json::to_string(&decoded).unwrap()).unwrap();
    assert!(equal(&encoded, &expected), "{encoded:#}\nis not\n{expected:#}");
}

/// JSON does not tell `1` from `1.0`, so a sample may show either.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Text, bytes in memory and a JSON tree are three ways to read; each gives the value that was written.
pub(crate) fn round_trip<T>(value: &T) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(value).unwrap();
    prop_assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
    prop_assert_eq!(&serde_json::from_reader::<_, T>(text.as_bytes()).unwrap(), value);
    let tree = serde_json::to_value(value).unwrap();
    prop_assert_eq!(&serde_json::from_value::<T>(tree).unwrap(), value);
    Ok(())
}

/// A member that this version does not know is kept, and `Debug` does not print it.
pub(crate) fn unknown_member_survives<T>(value: &T, member: Value) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + std::fmt::Debug,
{
    let mut tree = serde_json::to_value(value).unwrap();
    tree.as_object_mut().unwrap().insert("y_new".to_owned(), member);
    tree.as_object_mut().unwrap().insert("y_secret".to_owned(), json!(CANARY));
    let decoded: T = serde_json::from_value(tree.clone()).unwrap();
    prop_assert_eq!(serde_json::to_value(&decoded).unwrap(), tree);
    let printed = format!("{decoded:?}");
    prop_assert!(!printed.contains(CANARY), "{}", printed);
    Ok(())
}

/// A text that this version does not know is kept.
pub(crate) fn unknown_value_survives<T>(text: &str) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + for<'t> From<&'t str> + PartialEq + std::fmt::Debug,
{
    let decoded: T = serde_json::from_value(json!(text)).unwrap();
    prop_assert_eq!(serde_json::to_value(&decoded).unwrap(), json!(text));
    prop_assert_eq!(decoded, T::from(text));
    Ok(())
}

/// Any text but the empty one is an id when the API sends it.
pub(crate) fn any_text_is_an_id<T>(text: &str) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned,
{
    let decoded = serde_json::from_value::<T>(json!(text));
    prop_assert_eq!(decoded.is_err(), text.is_empty());
    if let Ok(decoded) = decoded {
        prop_assert_eq!(serde_json::to_value(&decoded).unwrap(), json!(text));
    }
    Ok(())
}

/// An object with an unknown tag is kept as it is, wherever the tag stands, and `Debug` does not print its members.
pub(crate) fn unknown_union_member_survives<T>(tag: &str, members: &JsonObject) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + std::fmt::Debug,
{
    let mut tree = members.clone();
    tree.insert("y_secret".to_owned(), json!(CANARY));
    tree.insert(tag.to_owned(), json!("y_new"));
    let decoded: T = serde_json::from_value(Value::Object(tree.clone())).unwrap();
    prop_assert_eq!(&serde_json::to_value(&decoded).unwrap(), &Value::Object(tree.clone()));
    let printed = format!("{decoded:?}");
    prop_assert!(!printed.contains(CANARY), "{}", printed);
    tree.remove(tag);
    let others = serde_json::to_string(&tree).unwrap();
    let tag_first = format!("{{\"{tag}\":\"y_new\",{}", &others[1..]);
    let again: T = serde_json::from_str(&tag_first).unwrap();
    prop_assert_eq!(serde_json::to_value(again).unwrap(), serde_json::to_value(decoded).unwrap());
    Ok(())
}

/// `Debug` of an object whose sensitive member holds the canary does not show it.
pub(crate) fn assert_member_redacted<T>(member: &str, content: Value)
where
    T: Serialize + DeserializeOwned + Arbitrary + std::fmt::Debug,
{
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let value = any::<T>().new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let mut tree = serde_json::to_value(&value).unwrap();
    tree.as_object_mut().unwrap().insert(member.to_owned(), content);
    assert_redacted::<T>(tree);
}

/// `Debug` of a value that holds the canary does not show it.
pub(crate) fn assert_redacted<T>(tree: Value)
where
    T: Serialize + DeserializeOwned + std::fmt::Debug,
{
    let decoded: T = serde_json::from_value(tree).unwrap();
    let has_canary = |text: &str| text.contains(CANARY) || text.contains(&CANARY_NUMBER.to_string());
    assert!(has_canary(&serde_json::to_string(&decoded).unwrap()), "nothing holds the canary");
    let printed = format!("{decoded:?} {decoded:#?}");
    assert!(!has_canary(&printed), "{printed}");
}

/// One test module a kind of type, one test a type and law.
macro_rules! laws {
    (ids, [$($name:ident),+ $(,)?]) => {
        #[allow(non_snake_case)]
        mod ids {
            use super::*;
            use proptest::prelude::*;
            proptest! {
                $(#[test]
                fn $name(value: $name, text in "\\PC{0,12}") {
                    crate::laws::round_trip(&value)?;
                    prop_assert_eq!(value.as_str().parse::<$name>(), Ok(value.clone()));
                    crate::laws::any_text_is_an_id::<$name>(&text)?;
                })+
            }
        }
    };
    (enums, [$($name:ident),+ $(,)?]) => {
        #[allow(non_snake_case)]
        mod enums {
            use super::*;
            use proptest::prelude::*;
            proptest! {
                $(#[test]
                fn $name(value: $name, text in "\\PC{0,12}") {
                    crate::laws::round_trip(&value)?;
                    prop_assert_eq!(value.is_known(), $name::KNOWN.contains(&value));
                    crate::laws::unknown_value_survives::<$name>(&text)?;
                })+
            }
        }
    };
    (objects, [$($name:ident),+ $(,)?]) => {
        #[allow(non_snake_case)]
        mod objects {
            use super::*;
            use proptest::prelude::*;
            proptest! {
                #![proptest_config(ProptestConfig::with_cases(64))]
                $(#[test]
                fn $name(value: $name, member in crate::arbitrary::json()) {
                    crate::laws::round_trip(&value)?;
                    crate::laws::unknown_member_survives(&value, member)?;
                })+
            }
        }
    };
    (tagged_unions, [$($name:ident),+ $(,)?]) => {
        #[allow(non_snake_case)]
        mod tagged_unions {
            use super::*;
            use crate::union::tagged::Tagged;
            use proptest::prelude::*;
            proptest! {
                $(#[test]
                fn $name(value: $name, members in crate::arbitrary::json_object()) {
                    crate::laws::round_trip(&value)?;
                    crate::laws::unknown_union_member_survives::<$name>($name::TAG, &members)?;
                })+
            }
        }
    };
    (shape_unions, [$($name:ident),+ $(,)?]) => {
        #[allow(non_snake_case)]
        mod shape_unions {
            use super::*;
            use proptest::prelude::*;
            proptest! {
                $(#[test]
                fn $name(value: $name, truth: bool, debt in i64::MIN..0, part in 0.01..0.99_f64) {
                    crate::laws::round_trip(&value)?;
                    for other in [truth.into(), debt.into(), part.into()] {
                        crate::laws::round_trip(&$name::Unrecognized(other))?;
                    }
                })+
            }
        }
    };
}

pub(crate) use laws;
