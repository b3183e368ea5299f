//! Reading a union whose members have different JSON kinds, such as "a text or a list of items".

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A union of JSON kinds. A kind that it has no member for is kept as it is.
pub(crate) trait Shape: Sized {
    /// What is expected, for error messages.
    const EXPECTING: &'static str;

    /// A kind that no member has.
    fn unrecognized(value: Value) -> Self;

    /// A string.
    fn text<E: Error>(text: String) -> Result<Self, E> {
        Ok(Self::unrecognized(Value::String(text)))
    }

    /// A whole number from 0.
    fn integer(number: u64) -> Self {
        Self::unrecognized(number.into())
    }

    /// An array.
    fn array<'de, A: SeqAccess<'de>>(items: SeqAccessDeserializer<A>) -> Result<Self, A::Error> {
        Value::deserialize(items).map(Self::unrecognized)
    }

    /// An object.
    fn object<'de, A: MapAccess<'de>>(members: MapAccessDeserializer<A>) -> Result<Self, A::Error> {
        Value::deserialize(members).map(Self::unrecognized)
    }
}

/// Reads a union by the JSON kind of the value.
pub(crate) fn deserialize<'de, U: Shape, D: Deserializer<'de>>(deserializer: D) -> Result<U, D::Error> {
    deserializer.deserialize_any(ShapeVisitor(PhantomData))
}

struct ShapeVisitor<U>(PhantomData<U>);

impl<'de, U: Shape> Visitor<'de> for ShapeVisitor<U> {
    type Value = U;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(U::EXPECTING)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<U, E> {
        U::text(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<U, E> {
        U::text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<U, A::Error> {
        U::array(SeqAccessDeserializer::new(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<U, A::Error> {
        U::object(MapAccessDeserializer::new(members))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<U, E> {
        Ok(U::unrecognized(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<U, E> {
        Ok(U::integer(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<U, E> {
        Ok(U::unrecognized(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<U, E> {
        Ok(U::unrecognized(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<U, E> {
        Ok(U::unrecognized(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{V1ResponseInput, V1ToolChoice};

    #[test]
    fn the_json_kind_decides() {
        let text: V1ResponseInput = serde_json::from_value(json!("hi")).unwrap();
        assert_eq!(text, V1ResponseInput::from("hi"));
        let items: V1ResponseInput =
            serde_json::from_value(json!([{"role": "user", "content": "hi"}])).unwrap();
        assert!(matches!(items, V1ResponseInput::Items(items) if items.len() == 1));
        let mode: V1ToolChoice = serde_json::from_value(json!("none")).unwrap();
        assert!(matches!(mode, V1ToolChoice::Mode(_)));
        let target: V1ToolChoice = serde_json::from_value(json!({"type": "function", "name": "f"})).unwrap();
        assert!(matches!(target, V1ToolChoice::Target(_)));
    }

    #[test]
    fn another_kind_is_kept_and_not_printed() {
        for json in [json!(7), json!(-7), json!(0.5), json!(true), json!(null), json!({"a": "secret"})] {
            let odd: V1ResponseInput = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(odd, V1ResponseInput::Unrecognized(json.clone()));
            assert!(!format!("{odd:?}").contains("secret"));
            assert_eq!(serde_json::to_value(odd).unwrap(), json);
        }
    }
}
