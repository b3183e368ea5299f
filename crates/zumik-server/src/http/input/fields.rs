//! The members of a JSON object, read one after the other in the order of the contract's request table.

use std::fmt::{Display, Write};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zumik_types::{InvalidId, JsonObject, Patch};

use super::value::{Path, kind};
use crate::http::error::{ApiError, excerpt};

type Result<T> = std::result::Result<T, ApiError>;

/// Most bytes of the name of a model. It is kept for as long as the usage of what was asked of it.
const LONGEST_MODEL: usize = 256;

/// The members of one object of a body.
///
/// Each method reads one member and answers its value, or the 400 that names it. An optional member that is `null`
/// counts as absent. Members that nobody asks for are ignored.
pub(crate) struct Fields<'p, 'v> {
    path: Path<'p>,
    members: &'v Map<String, Value>,
}

/// The entries of one array of a body.
pub(crate) struct Items<'p, 'v> {
    path: Path<'p>,
    values: &'v [Value],
}

/// One entry of an array.
pub(crate) struct Item<'p, 'v> {
    path: Path<'p>,
    value: &'v Value,
}

impl<'v> Fields<'static, 'v> {
    /// The members of the body itself.
    pub(crate) fn of(members: &'v Map<String, Value>) -> Self {
        Self { path: Path::Root, members }
    }
}

impl<'v> Fields<'_, 'v> {
    /// The 400 for the member `name`; `problem` says what it must be, as in `must not be empty`.
    pub(crate) fn invalid(&self, name: &str, problem: impl Display) -> ApiError {
        invalid(Path::Member(&self.path, name), problem)
    }

    /// Whether the member is there, `null` included.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The member as it is; nothing when it is absent or `null`.
    pub(crate) fn value(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    fn required(&self, name: &str) -> Result<&'v Value> {
        match self.members.get(name) {
            Some(value) => Ok(value),
            None => Err(self.invalid(name, "is required")),
        }
    }

    /// A string.
    pub(crate) fn text(&self, name: &str) -> Result<&'v str> {
        text(Path::Member(&self.path, name), self.required(name)?)
    }

    /// A string, if there is one.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&'v str>> {
        self.value(name).map(|value| text(Path::Member(&self.path, name), value)).transpose()
    }

    /// A string that is not empty.
    pub(crate) fn filled_text(&self, name: &str) -> Result<&'v str> {
        match self.text(name)? {
            "" => Err(self.invalid(name, "must not be empty")),
            text => Ok(text),
        }
    }

    /// The member `model`: the name of one, which nobody may know.
    pub(crate) fn model(&self) -> Result<&'v str> {
        match self.filled_text("model")? {
            name if name.len() > LONGEST_MODEL => {
                let problem = format_args!("must have at most {LONGEST_MODEL} bytes, not {}", name.len());
                Err(self.invalid("model", problem))
            }
            name => Ok(name),
        }
    }

    /// An id; whether it names anything is for the store to say.
    pub(crate) fn id<T: FromStr<Err = InvalidId>>(&self, name: &str) -> Result<T> {
        id(Path::Member(&self.path, name), self.required(name)?)
    }

    /// An id, if there is one.
    pub(crate) fn optional_id<T: FromStr<Err = InvalidId>>(&self, name: &str) -> Result<Option<T>> {
        self.value(name).map(|value| id(Path::Member(&self.path, name), value)).transpose()
    }

    /// An id for which absent, `null` and a value mean three things.
    pub(crate) fn patch_id<T: FromStr<Err = InvalidId>>(&self, name: &str) -> Result<Patch<T>> {
        match self.members.get(name) {
            None => Ok(Patch::Absent),
            Some(Value::Null) => Ok(Patch::Null),
            Some(value) => id(Path::Member(&self.path, name), value).map(Patch::Value),
        }
    }

    /// One of the `allowed` values of an enum.
    pub(crate) fn one_of<T>(&self, name: &str, allowed: &[T]) -> Result<T>
    where
        T: for<'a> From<&'a str> + PartialEq + Display,
    {
        one_of(Path::Member(&self.path, name), self.text(name)?, allowed)
    }

    /// One of the `allowed` values of an enum, if there is one.
    pub(crate) fn optional_one_of<T>(&self, name: &str, allowed: &[T]) -> Result<Option<T>>
    where
        T: for<'a> From<&'a str> + PartialEq + Display,
    {
        self.optional_text(name)?
            .map(|text| one_of(Path::Member(&self.path, name), text, allowed))
            .transpose()
    }

    /// An integer that is not negative.
    pub(crate) fn count(&self, name: &str) -> Result<u64> {
        count(Path::Member(&self.path, name), self.required(name)?, 0..=u64::MAX)
    }

    /// An integer in `range`, if there is one.
    pub(crate) fn optional_count(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>> {
        self.value(name).map(|value| count(Path::Member(&self.path, name), value, range)).transpose()
    }

    /// An integer of either sign, if there is one.
    pub(crate) fn optional_integer(&self, name: &str) -> Result<Option<i64>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.as_i64() {
            Some(integer) => Ok(Some(integer)),
            None => Err(self.invalid(name, format_args!("must be an integer, not {}", kind(value)))),
        }
    }

    /// A number in `range`, if there is one.
    pub(crate) fn optional_number(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            Some(number) => Err(self.invalid(
                name,
                format_args!("must be from {} to {}, not {number}", range.start(), range.end()),
            )),
            None => Err(self.invalid(name, format_args!("must be a number, not {}", kind(value)))),
        }
    }

    /// `true` or `false`, if there is one.
    pub(crate) fn optional_flag(&self, name: &str) -> Result<Option<bool>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(value) => Err(self.invalid(name, format_args!("must be a boolean, not {}", kind(value)))),
        }
    }

    /// An object that is taken as it is, if there is one.
    pub(crate) fn optional_map(&self, name: &str) -> Result<Option<JsonObject>> {
        Ok(self.optional_object(name)?.map(|fields| fields.members.clone().into_iter().collect()))
    }

    /// An object.
    pub(crate) fn object<'s>(&'s self, name: &'s str) -> Result<Fields<'s, 'v>> {
        let path = Path::Member(&self.path, name);
        Ok(Fields { path, members: object(path, self.required(name)?)? })
    }

    /// An object, if there is one.
    pub(crate) fn optional_object<'s>(&'s self, name: &'s str) -> Result<Option<Fields<'s, 'v>>> {
        let path = Path::Member(&self.path, name);
        self.value(name).map(|value| Ok(Fields { path, members: object(path, value)? })).transpose()
    }

    /// An array.
    pub(crate) fn items<'s>(&'s self, name: &'s str) -> Result<Items<'s, 'v>> {
        let path = Path::Member(&self.path, name);
        Ok(Items { path, values: array(path, self.required(name)?)? })
    }

    /// An array with at least one entry and at most `most`.
    pub(crate) fn filled_items<'s>(&'s self, name: &'s str, most: usize) -> Result<Items<'s, 'v>> {
        let items = self.items(name)?;
        match items.values.len() {
            0 => Err(self.invalid(name, "must be a non-empty array")),
            _ => items.at_most(most),
        }
    }

    /// An array with at most `most` entries, if there is one.
    pub(crate) fn optional_items<'s>(&'s self, name: &'s str, most: usize) -> Result<Option<Items<'s, 'v>>> {
        let path = Path::Member(&self.path, name);
        self.value(name).map(|value| Items { path, values: array(path, value)? }.at_most(most)).transpose()
    }
}

impl<'v> Items<'_, 'v> {
    fn at_most(self, most: usize) -> Result<Self> {
        match self.values.len() {
            len if len > most => {
                Err(invalid(self.path, format_args!("must have at most {most} entries, not {len}")))
            }
            _ => Ok(self),
        }
    }

    /// What `read` makes of every entry, in order.
    pub(crate) fn map<T>(&self, mut read: impl FnMut(Item<'_, 'v>) -> Result<T>) -> Result<Vec<T>> {
        self.values
            .iter()
            .enumerate()
            .map(|(index, value)| read(Item { path: Path::Item(&self.path, index), value }))
            .collect()
    }
}

impl<'v> Item<'_, 'v> {
    /// The entry as an object.
    pub(crate) fn object(&self) -> Result<Fields<'_, 'v>> {
        Ok(Fields { path: self.path, members: object(self.path, self.value)? })
    }

    /// The entry as a model of the API.
    pub(crate) fn typed<T: DeserializeOwned>(&self) -> Result<T> {
        typed(self.path, self.value)
    }

    /// The entry as a string.
    pub(crate) fn text(&self) -> Result<&'v str> {
        text(self.path, self.value)
    }

    /// The entry as a string that is not empty.
    pub(crate) fn filled_text(&self) -> Result<&'v str> {
        match self.text()? {
            "" => Err(invalid(self.path, "must not be empty")),
            text => Ok(text),
        }
    }

    /// The entry as an id.
    pub(crate) fn id<T: FromStr<Err = InvalidId>>(&self) -> Result<T> {
        id(self.path, self.value)
    }
}

fn invalid(path: Path<'_>, problem: impl Display) -> ApiError {
    let param = path.to_string();
    let message = format!("'{param}' {problem}.");
    ApiError::invalid(param, message)
}

fn text<'v>(path: Path<'_>, value: &'v Value) -> Result<&'v str> {
    value.as_str().ok_or_else(|| invalid(path, format_args!("must be a string, not {}", kind(value))))
}

fn typed<T: DeserializeOwned>(path: Path<'_>, value: &Value) -> Result<T> {
    T::deserialize(value)
        .map_err(|error| invalid(path, format_args!("is malformed: {}", excerpt(&error.to_string()))))
}

fn object<'v>(path: Path<'_>, value: &'v Value) -> Result<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| invalid(path, format_args!("must be an object, not {}", kind(value))))
}

fn array<'v>(path: Path<'_>, value: &'v Value) -> Result<&'v [Value]> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(invalid(path, format_args!("must be an array, not {}", kind(other)))),
    }
}

/// Only form is checked here. Whether the id names anything is for the store to say, in the same words.
fn id<T: FromStr<Err = InvalidId>>(path: Path<'_>, value: &Value) -> Result<T> {
    let text = text(path, value)?;
    text.parse()
        .map_err(|_| invalid(path, format_args!("names nothing in this project: '{}'", excerpt(text))))
}

fn one_of<T>(path: Path<'_>, text: &str, allowed: &[T]) -> Result<T>
where
    T: for<'a> From<&'a str> + PartialEq + Display,
{
    let value = T::from(text);
    if allowed.contains(&value) {
        return Ok(value);
    }
    let mut problem = String::from("must be ");
    for (index, option) in allowed.iter().enumerate() {
        let separator = match index {
            0 => "",
            _ if index + 1 == allowed.len() => " or ",
            _ => ", ",
        };
        // Writing to a string cannot fail.
        let _ = write!(problem, "{separator}'{option}'");
    }
    Err(invalid(path, format_args!("{problem}, not '{}'", excerpt(text))))
}

fn count(path: Path<'_>, value: &Value, range: RangeInclusive<u64>) -> Result<u64> {
    let number = match value {
        Value::Number(number) => number,
        other => return Err(invalid(path, format_args!("must be an integer, not {}", kind(other)))),
    };
    match number.as_u64() {
        Some(count) if range.contains(&count) => Ok(count),
        _ if number.is_f64() => Err(invalid(path, format_args!("must be an integer, not {}", kind(value)))),
        _ if *range.end() == u64::MAX => {
            Err(invalid(path, format_args!("must be at least {}, not {number}", range.start())))
        }
        _ => Err(invalid(
            path,
            format_args!("must be from {} to {}, not {number}", range.start(), range.end()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zumik_types::{ArtifactId, EventId, RetentionClass};

    use super::*;

    fn check(body: Value, read: impl FnOnce(Fields<'_, '_>) -> Result<()>, param: &str, message: &str) {
        let Value::Object(members) = body else { panic!("the body of a test is an object") };
        let error = read(Fields::of(&members)).unwrap_err();
        assert_eq!((error.param(), error.message()), (Some(param), message));
    }

    #[test]
    fn a_problem_names_the_path_of_the_field() {
        let body = json!({ "items": [{ "role": "a" }, { "role": 3 }] });
        check(
            body,
            |fields| fields.items("items")?.map(|item| item.object()?.text("role").map(drop)).map(drop),
            "items[1].role",
            "'items[1].role' must be a string, not a number.",
        );
        let body = json!({ "qos": { "class": {} } });
        check(
            body,
            |fields| fields.object("qos")?.text("class").map(drop),
            "qos.class",
            "'qos.class' must be a string, not an object.",
        );
        check(json!({}), |fields| fields.text("model").map(drop), "model", "'model' is required.");
        check(
            json!({ "model": null }),
            |fields| fields.text("model").map(drop),
            "model",
            "'model' must be a string, not null.",
        );
    }

    #[test]
    fn the_name_of_a_model_has_an_end() {
        let longest = json!({ "model": "m".repeat(LONGEST_MODEL) });
        assert!(Fields::of(longest.as_object().unwrap()).model().is_ok());
        let message = "'model' must have at most 256 bytes, not 257.";
        check(json!({ "model": "m".repeat(257) }), |fields| fields.model().map(drop), "model", message);
    }

    #[test]
    fn what_is_malformed_is_repeated_only_in_part() {
        let long = json!("long ".repeat(1_000));
        let refused = typed::<u64>(Path::Member(&Path::Root, "n"), &long).unwrap_err();
        assert!(refused.message().starts_with("'n' is malformed: invalid type: string"), "{refused:?}");
        assert!(refused.message().chars().count() < 100, "{refused:?}");
    }

    #[test]
    fn null_counts_as_absent_for_what_is_optional() {
        let body = json!({ "a": null });
        let fields = Fields::of(body.as_object().unwrap());
        assert_eq!(fields.optional_text("a").unwrap(), None);
        assert_eq!(fields.optional_count("a", 1..=9).unwrap(), None);
        assert_eq!(fields.optional_flag("a").unwrap(), None);
        assert!(fields.optional_items("a", 9).unwrap().is_none());
        assert!(fields.optional_object("a").unwrap().is_none());
        assert_eq!(fields.patch_id::<EventId>("a").unwrap(), Patch::Null);
        assert_eq!(fields.patch_id::<EventId>("b").unwrap(), Patch::Absent);
    }

    #[test]
    fn an_enum_is_closed_to_what_is_allowed() {
        let body = json!({ "class": "forever" });
        check(
            body,
            |fields| fields.one_of("class", RetentionClass::KNOWN).map(drop),
            "class",
            "'class' must be 'ephemeral', 'standard' or 'extended', not 'forever'.",
        );
    }

    #[test]
    fn an_id_of_another_kind_names_nothing() {
        for id in ["", "art_", "bnd_1", "art_ 1", "art_a/b", "art_\u{0}"] {
            let body = json!({ "id": id });
            let fields = Fields::of(body.as_object().unwrap());
            assert_eq!(fields.id::<ArtifactId>("id").unwrap_err().param(), Some("id"));
        }
    }

    #[test]
    fn an_integer_is_whole_not_negative_and_in_range() {
        for (value, message) in [
            (json!(-1), "'n' must be from 1 to 255, not -1."),
            (json!(0), "'n' must be from 1 to 255, not 0."),
            (json!(256), "'n' must be from 1 to 255, not 256."),
            (json!(1.5), "'n' must be an integer, not a number with a fraction or beyond 64 bits."),
            (json!(1e30), "'n' must be an integer, not a number with a fraction or beyond 64 bits."),
            (json!("1"), "'n' must be an integer, not a string."),
        ] {
            check(
                json!({ "n": value }),
                |fields| fields.optional_count("n", 1..=255).map(drop),
                "n",
                message,
            );
        }
        check(
            json!({ "n": -3 }),
            |fields| fields.count("n").map(drop),
            "n",
            "'n' must be at least 0, not -3.",
        );
    }
}
