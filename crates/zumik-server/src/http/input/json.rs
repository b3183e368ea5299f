//! JSON bodies: media type, syntax, and no member twice.

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::http::error::{ApiError, excerpt};

/// Whether the content type is `media_type`; parameters such as `charset=utf-8` do not matter.
pub(super) fn has_media_type(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
}

/// The JSON object that a body is.
///
/// # Errors
/// 400 with `param` null when the content type is another, the text is not JSON, is nested deeper than 128 levels,
/// names a member twice, or is no object.
pub(crate) fn object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if !has_media_type(headers, "application/json") {
        return Err(wrong_media_type(headers));
    }
    object_of(body)
}

/// The JSON object that a text is.
///
/// # Errors
/// As [`object`], the content type apart.
pub(crate) fn object_of(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Strict
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| ApiError::malformed(format!("The body is not valid JSON: {error}.")))?;
    match value {
        Value::Object(members) => Ok(members),
        other => Err(ApiError::malformed(format!(
            "The body must be a JSON object, not {}.",
            super::value::kind(&other)
        ))),
    }
}

fn wrong_media_type(headers: &HeaderMap) -> ApiError {
    match headers.get(CONTENT_TYPE) {
        None => ApiError::malformed("The body has no Content-Type. Send it as 'application/json'."),
        Some(value) => ApiError::malformed(format!(
            "The body is '{}'. This operation takes 'application/json'.",
            excerpt(&String::from_utf8_lossy(value.as_bytes()))
        )),
    }
}

/// Reads any JSON value and refuses an object that names a member twice: which of the two is meant, nobody knows,
/// and the parsers along the way may disagree.
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Strict)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate member '{}'", excerpt(&name))));
            }
            members.insert(name, access.next_value_seed(Strict)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parse(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("Application/JSON; charset=utf-8"));
        object(&headers, body)
    }

    #[test]
    fn an_object_is_read_as_it_stands() {
        let body = br#"{"a":[1,-2,3.5,1e300,null,true,"\u00e4"],"b":{"c":{}}}"#;
        let value = Value::Object(parse(body).unwrap());
        assert_eq!(value, serde_json::from_slice::<Value>(body).unwrap());
    }

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth() {
        for body in [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":1,"c":2,"b":3}]}"#, r#"{"a":1,"\u0061":2}"#] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert!(error.message().contains("duplicate member"), "{}", error.message());
        }
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        let deep_object = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
        let bodies: &[&[u8]] = &[
            b"",
            b"{",
            b"[]",
            b"1",
            b"null",
            b"\"text\"",
            b"{} {}",
            b"{\"a\":1e999}",
            b"{\"a\":NaN}",
            b"\xff\xfe",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\ud800\"}",
            b"\xef\xbb\xbf{}",
            &deep,
            deep_object.as_bytes(),
        ];
        for body in bodies {
            let error = parse(body).unwrap_err();
            assert_eq!(error.status(), http::StatusCode::BAD_REQUEST);
            assert_eq!(error.param(), None);
        }
    }

    #[test]
    fn another_media_type_is_refused() {
        for media_type in ["text/plain", "application/json+x", "", "json", "\u{e4}"] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_bytes(media_type.as_bytes()).unwrap());
            assert!(object(&headers, b"{}").is_err(), "{media_type}");
        }
        assert!(object(&HeaderMap::new(), b"{}").unwrap_err().message().contains("no Content-Type"));
    }
}
