//! Reading and changing single members of a JSON object while every other byte of it stays as it is.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object, each where it stands in the text. The whole text is checked to be JSON; no value is
/// decoded.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    source: &'a [u8],
    members: Vec<(Cow<'a, str>, Range<usize>)>,
}

/// The text of a JSON object, checked, with the places of its members: what [`Members`] are without another look.
#[derive(Debug)]
pub(crate) struct Object {
    text: Bytes,
    members: Vec<(String, Range<usize>)>,
}

/// Changes to an object, to be made all at once.
#[derive(Debug)]
#[must_use = "changes are made by `finish`"]
pub(crate) struct Edit<'m, 'a> {
    object: &'m Members<'a>,
    changes: Vec<(Range<usize>, Cow<'m, [u8]>)>,
    added: Vec<u8>,
    removed: Vec<usize>,
}

impl Object {
    /// The object that a text is.
    ///
    /// # Errors
    /// The text is not JSON, or no object.
    pub(crate) fn of(text: Bytes) -> Result<Self, serde_json::Error> {
        let members = Members::of(&text)?.members;
        let members = members.into_iter().map(|(name, place)| (name.into_owned(), place)).collect();
        Ok(Self { text, members })
    }

    /// Its text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Its members.
    pub(crate) fn members(&self) -> Members<'_> {
        let members = self.members.iter().map(|(name, place)| (Cow::Borrowed(&**name), place.clone()));
        Members { source: &self.text, members: members.collect() }
    }
}

impl<'a> Members<'a> {
    /// The members of an object.
    ///
    /// # Errors
    /// The text is not JSON, or no object.
    pub(crate) fn of(source: &'a [u8]) -> Result<Self, serde_json::Error> {
        let Found(found) = serde_json::from_slice(source)?;
        let start = source.as_ptr() as usize;
        let place = |value: &RawValue| {
            let at = value.get().as_ptr() as usize - start;
            at..at + value.get().len()
        };
        Ok(Self { source, members: found.into_iter().map(|(name, value)| (name, place(value))).collect() })
    }

    /// The text of a member's value; nothing when there is no such member.
    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.place(name).and_then(|(_, place)| self.source.get(place))
    }

    /// The text of a member's value, unless it is `null`.
    pub(crate) fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.get(name).filter(|value| *value != b"null")
    }

    /// A member as a value of its own; nothing when it is absent or of another type.
    pub(crate) fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(self.get(name)?).ok()
    }

    /// Begins a change.
    pub(crate) fn edit(&self) -> Edit<'_, 'a> {
        Edit { object: self, changes: Vec::new(), added: Vec::new(), removed: Vec::new() }
    }

    fn place(&self, name: &str) -> Option<(usize, Range<usize>)> {
        let index = self.members.iter().position(|(found, _)| found == name)?;
        self.members.get(index).map(|(_, place)| (index, place.clone()))
    }

    /// Where the closing brace is.
    fn end(&self) -> usize {
        self.source.iter().rposition(|byte| *byte == b'}').unwrap_or(self.source.len())
    }
}

impl<'m> Edit<'m, '_> {
    /// Gives a member this value, whether it is there or not.
    pub(crate) fn set(mut self, name: &str, value: impl Into<Cow<'m, [u8]>>) -> Self {
        let value = value.into();
        match self.object.place(name) {
            Some((_, place)) => {
                if self.object.source.get(place.clone()) != Some(&*value) {
                    self.changes.push((place, value));
                }
            }
            None => {
                self.added.extend_from_slice(b",");
                self.added.extend_from_slice(&json(name));
                self.added.extend_from_slice(b":");
                self.added.extend_from_slice(&value);
            }
        }
        self
    }

    /// Takes a member out, if it is there.
    pub(crate) fn remove(mut self, name: &str) -> Self {
        if let Some((index, _)) = self.object.place(name) {
            self.removed.push(index);
        }
        self
    }

    /// The object with all changes made. Without any it is a copy.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let source = self.object.source;
        let gaps: Vec<_> = self.removed.iter().filter_map(|index| self.gap(*index)).collect();
        self.changes.extend(gaps.into_iter().map(|gap| (gap, Cow::Borrowed(&b""[..]))));
        if !self.added.is_empty() {
            let end = self.object.end();
            let alone = self.removed.len() == self.object.members.len();
            let added = std::mem::take(&mut self.added);
            self.changes.push((end..end, Cow::Owned(if alone { added[1..].to_vec() } else { added })));
        }
        self.changes.sort_by_key(|(place, _)| (place.start, place.end));
        let more: usize = self.changes.iter().map(|(_, value)| value.len()).sum();
        let mut text = Vec::with_capacity(source.len() + more);
        let mut at = 0;
        for (place, value) in &self.changes {
            text.extend_from_slice(source.get(at..place.start).unwrap_or_default());
            text.extend_from_slice(value);
            at = place.end.max(at);
        }
        text.extend_from_slice(source.get(at..).unwrap_or_default());
        text
    }

    /// What to leave out so that a member is gone with one of the commas beside it.
    fn gap(&self, index: usize) -> Option<Range<usize>> {
        let members = &self.object.members;
        let (_, place) = members.get(index)?;
        let before = index.checked_sub(1).and_then(|before| members.get(before));
        let start = match before {
            Some((_, before)) => before.end,
            None => self.object.source.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace + 1),
        };
        let keeps_one_before = (0..index).any(|before| !self.removed.contains(&before));
        if keeps_one_before || index + 1 == members.len() {
            return Some(start..place.end);
        }
        // Nothing but a comma and white space stands before the next name.
        let tail = self.object.source.get(place.end..).unwrap_or_default();
        Some(start..place.end + tail.iter().position(|byte| *byte == b'"').unwrap_or(0))
    }
}

/// A text as a JSON string.
pub(crate) fn json(text: &str) -> Vec<u8> {
    // A string has a JSON form, whatever it says.
    serde_json::to_vec(text).unwrap_or_default()
}

struct Found<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Found<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Found<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::with_capacity(8);
                while let Some(Name(name)) = access.next_key()? {
                    found.push((name, access.next_value()?));
                }
                Ok(Found(found))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A name, borrowed unless it is written with escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_the_member_that_is_set_changes() {
        let source = br#" { "a" : 1.50, "model":"code.fast" ,"z":[{"model":"x"}] } "#;
        let members = Members::of(source).unwrap();
        assert_eq!(members.get("model"), Some(&br#""code.fast""#[..]));
        assert_eq!(
            text(members.edit().set("model", json("gpt \"4o\"")).finish()),
            r#" { "a" : 1.50, "model":"gpt \"4o\"" ,"z":[{"model":"x"}] } "#
        );
    }

    #[test]
    fn a_member_that_is_missing_comes_last() {
        for (source, expected) in
            [("{}", r#"{"n":1}"#), ("{ }", r#"{ "n":1}"#), (r#"{"a":{}}"#, r#"{"a":{},"n":1}"#)]
        {
            let members = Members::of(source.as_bytes()).unwrap();
            assert_eq!(text(members.edit().set("n", &b"1"[..]).finish()), expected);
        }
    }

    #[test]
    fn a_member_is_removed_with_its_comma() {
        for (source, expected) in [
            (r#"{"u":null}"#, "{}"),
            (r#"{ "u":null , "b":1 }"#, r#"{"b":1 }"#),
            (r#"{"a":1, "u":null}"#, r#"{"a":1}"#),
            (r#"{"a":1,"u":null,"b":2}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
        ] {
            let members = Members::of(source.as_bytes()).unwrap();
            assert_eq!(text(members.edit().remove("u").finish()), expected);
        }
    }

    #[test]
    fn a_name_with_escapes_is_known() {
        let members = Members::of(br#"{"mod\u0065l":"a"}"#).unwrap();
        assert_eq!(text(members.edit().set("model", json("b")).finish()), r#"{"mod\u0065l":"b"}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for source in ["", "[]", "1", "{", "{\"a\":}", "{\"a\":1}x", "{\"a\":[1,]}", "{\"a\":\"\u{1}\"}"] {
            assert!(Members::of(source.as_bytes()).is_err(), "{source}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[ab\"\\\\]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_edit_is_the_same_as_one_of_the_decoded_object(
            object in prop::collection::hash_map("[ab\"\\\\]{0,2}", value(), 0..5),
            set in "[ab\"\\\\]{0,2}",
            remove in prop::collection::hash_set("[ab\"\\\\]{0,2}", 0..3),
            new in value(),
            pretty: bool,
        ) {
            prop_assume!(!remove.contains(&set));
            let mut object: Map<String, Value> = object.into_iter().collect();
            let source =
                if pretty { serde_json::to_vec_pretty(&object) } else { serde_json::to_vec(&object) };
            let source = source.unwrap();
            let members = Members::of(&source).unwrap();
            let edit = members.edit().set(&set, serde_json::to_vec(&new).unwrap());
            let edited = remove.iter().fold(edit, |edit, name| edit.remove(name)).finish();
            object.insert(set, new);
            object.retain(|name, _| !remove.contains(name));
            let found = serde_json::from_slice::<Map<String, Value>>(&edited);
            prop_assert!(found.is_ok(), "{}", String::from_utf8_lossy(&edited));
            prop_assert_eq!(found.unwrap(), object);
        }
    }
}
