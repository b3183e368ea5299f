//! Reading a tagged union: look at the tag, decode once.
//!
//! Writers put the tag first. Then the members behind it are decoded straight from the input. Only an object whose tag
//! comes later is read into memory before.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::text::Text;
use crate::{JsonObject, RawMember};

/// A union of objects that a member tells apart.
pub(crate) trait Tagged: Sized {
    /// The member that carries the tag.
    const TAG: &'static str;
    /// The tag of an object that has none.
    const DEFAULT: Option<&'static str>;

    /// Decodes the object that `members` gives, by its tag.
    fn decode<'de, A: MapAccess<'de>>(members: Members<A>) -> Result<Self, A::Error>;
}

/// Reads a tagged union.
pub(crate) fn deserialize<'de, U: Tagged, D: Deserializer<'de>>(deserializer: D) -> Result<U, D::Error> {
    deserializer.deserialize_map(UnionVisitor(PhantomData))
}

/// Writes a member of a tagged union that has no field for the tag: the tag first, then its own members.
pub(crate) fn serialize<T: Serialize, S: Serializer>(
    name: &'static str,
    tag: &'static str,
    member: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    TaggedMember { tag: Tag { name, tag }, member }.serialize(serializer)
}

#[derive(Serialize)]
struct TaggedMember<'a, T> {
    #[serde(flatten)]
    tag: Tag,
    #[serde(flatten)]
    member: &'a T,
}

/// An object with one member.
struct Tag {
    name: &'static str,
    tag: &'static str,
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.name, self.tag)])
    }
}

/// The members of an object whose tag is known.
pub(crate) struct Members<A> {
    tag_name: &'static str,
    tag: String,
    /// Whether the tag stood in the object, or is the default.
    tag_was_sent: bool,
    others: Others<A>,
}

/// The other members. One type for both, because every member of a union is compiled for each type that gives it.
enum Others<A> {
    /// Still in the input, behind the tag.
    Ahead(A),
    /// Read, because the tag comes after some of them.
    Read(serde_json::map::IntoIter),
}

impl<'de, A: MapAccess<'de>> Members<A> {
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// For a type that has no field for the tag.
    pub(crate) fn decode<T: Deserialize<'de>>(self) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Entries::new(self.tag_name, None, self.others)))
    }

    /// For a type that has a field for the tag.
    pub(crate) fn decode_with_tag<T: Deserialize<'de>>(self) -> Result<T, A::Error> {
        let tag = self.tag_was_sent.then_some(self.tag);
        T::deserialize(MapAccessDeserializer::new(Entries::new(self.tag_name, tag, self.others)))
    }

    /// For a tag that no type is known for.
    pub(crate) fn into_raw(self) -> Result<RawMember, A::Error> {
        let entries = Entries::new(self.tag_name, None, self.others);
        let members = JsonObject::deserialize(MapAccessDeserializer::new(entries))?;
        Ok(RawMember::new(self.tag_name, self.tag, members))
    }
}

struct UnionVisitor<U>(PhantomData<U>);

impl<'de, U: Tagged> Visitor<'de> for UnionVisitor<U> {
    type Value = U;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a member `{}`", U::TAG)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<U, A::Error> {
        let mut members = JsonObject::new();
        if let Some(Text(name)) = map.next_key()? {
            if name == U::TAG {
                let Text(tag) = map.next_value()?;
                let tag = tag.into_owned();
                let others = Others::Ahead(map);
                return U::decode(Members { tag_name: U::TAG, tag, tag_was_sent: true, others });
            }
            members.insert(name.into_owned(), map.next_value()?);
        }
        while let Some((name, value)) = map.next_entry::<String, _>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            members.insert(name, value);
        }
        let (tag, tag_was_sent) = match (members.shift_remove(U::TAG), U::DEFAULT) {
            (Some(Value::String(tag)), _) => (tag, true),
            (None, Some(default)) => (default.to_owned(), false),
            (None, None) => return Err(A::Error::missing_field(U::TAG)),
            (Some(_), _) => return Err(A::Error::custom(format_args!("`{}` must be a string", U::TAG))),
        };
        let others = Others::<A>::Read(members.into_iter());
        U::decode(Members { tag_name: U::TAG, tag, tag_was_sent, others })
    }
}

/// Gives the tag first, if there is one to give, then the other members. A second tag among them is refused, as every
/// repeated member is.
struct Entries<A> {
    tag_name: &'static str,
    /// The tag, until its name was asked for.
    tag: Option<String>,
    /// The value of the last name, where it is not in the input.
    value: Option<Value>,
    others: Others<A>,
}

impl<A> Entries<A> {
    fn new(tag_name: &'static str, tag: Option<String>, others: Others<A>) -> Self {
        Self { tag_name, tag, value: None, others }
    }
}

impl<'de, A: MapAccess<'de>> Entries<A> {
    /// The name of the next member besides the tag.
    fn next_name(&mut self) -> Result<Option<Cow<'de, str>>, A::Error> {
        Ok(match &mut self.others {
            Others::Ahead(map) => map.next_key()?.map(|Text(name)| name),
            Others::Read(members) => members.next().map(|(name, value)| {
                self.value = Some(value);
                Cow::Owned(name)
            }),
        })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        if let Some(tag) = self.tag.take() {
            self.value = Some(Value::String(tag));
            return seed.deserialize(self.tag_name.into_deserializer()).map(Some);
        }
        match self.next_name()? {
            None => Ok(None),
            Some(name) if name == self.tag_name => Err(A::Error::duplicate_field(self.tag_name)),
            Some(name) => seed.deserialize(name.into_deserializer()).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match (self.value.take(), &mut self.others) {
            (Some(value), _) => seed.deserialize(value).map_err(A::Error::custom),
            (None, Others::Ahead(map)) => map.next_value_seed(seed),
            (None, Others::Read(_)) => Err(A::Error::custom("a value was asked for before its name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{V1InputItem, V1OutputItem, V1Role};

    fn output(json: &str) -> Result<V1OutputItem, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn the_tag_may_stand_anywhere() {
        let first = output(r#"{"type":"function_call","call_id":"c","name":"n","arguments":"{}"}"#).unwrap();
        let last = output(r#"{"call_id":"c","name":"n","arguments":"{}","type":"function_call"}"#).unwrap();
        assert_eq!(first, last);
        assert!(matches!(first, V1OutputItem::FunctionCall(call) if call.extra.is_empty()));
    }

    #[test]
    fn an_object_without_its_tag_is_the_default_and_is_written_without_it() {
        let json = json!({"role": "user", "content": "hi"});
        let item: V1InputItem = serde_json::from_value(json.clone()).unwrap();
        assert!(matches!(&item, V1InputItem::Message(message) if message.role == V1Role::User));
        assert_eq!(serde_json::to_value(item).unwrap(), json);
    }

    #[test]
    fn an_object_with_the_default_tag_keeps_it() {
        let json = json!({"type": "message", "role": "user", "content": "hi"});
        let item: V1InputItem = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(item).unwrap(), json);
    }

    #[test]
    fn a_repeated_member_is_refused_wherever_the_tag_stands() {
        for (json, repeated) in [
            (
                r#"{"type":"function_call","call_id":"c","name":"n","arguments":"{}","type":"message"}"#,
                "type",
            ),
            (r#"{"type":"function_call","call_id":"c","name":"n","name":"m","arguments":"{}"}"#, "name"),
            (r#"{"call_id":"c","name":"n","name":"m","arguments":"{}","type":"function_call"}"#, "name"),
            (r#"{"name":"n","type":"new","type":"function_call"}"#, "type"),
            (r#"{"type":"new","type":"function_call"}"#, "type"),
        ] {
            let error = output(json).unwrap_err().to_string();
            assert!(error.starts_with(&format!("duplicate field `{repeated}`")), "{json}: {error}");
        }
    }

    #[test]
    fn an_unknown_object_keeps_the_order_of_its_members_behind_the_tag() {
        for json in [r#"{"type":"new","z":1,"a":{"y":2,"b":3}}"#, r#"{"z":1,"a":{"y":2,"b":3},"type":"new"}"#]
        {
            let text = serde_json::to_string(&output(json).unwrap()).unwrap();
            assert_eq!(text, r#"{"type":"new","z":1,"a":{"y":2,"b":3}}"#);
        }
    }

    #[test]
    fn a_missing_or_odd_tag_is_an_error_that_names_it() {
        assert_eq!(output("{}").unwrap_err().to_string(), "missing field `type` at line 1 column 2");
        let odd = output(r#"{"a":1,"type":7}"#).unwrap_err().to_string();
        assert!(odd.starts_with("`type` must be a string"), "{odd}");
        let scalar = output("7").unwrap_err().to_string();
        assert!(
            scalar.starts_with("invalid type: integer `7`, expected an object with a member `type`"),
            "{scalar}"
        );
    }
}
