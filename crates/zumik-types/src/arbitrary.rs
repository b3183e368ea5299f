//! `proptest` strategies that the generated ones are made of. Feature `proptest`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Number, Value};

use crate::{EmbeddingVector, Extra, JsonObject, List, ObjectType, Patch, RawMember};

/// The strategy of a type.
pub(crate) fn any<T: Arbitrary + 'static>() -> BoxedStrategy<T> {
    proptest::prelude::any::<T>().boxed()
}

/// Texts that match. A regular expression that is a strategy itself would be parsed anew for every text.
#[expect(clippy::expect_used, reason = "the expressions are constants of this crate")]
fn matching(regex: &str) -> BoxedStrategy<String> {
    proptest::string::string_regex(regex).expect("a regular expression").boxed()
}

thread_local! {
    // A large object has hundreds of these inside; made once, they are only counted.
    static TEXT: BoxedStrategy<String> =
        prop_oneof![4 => matching("[ -~]{0,24}"), 2 => matching("\\PC{0,12}"), 1 => any::<String>()].boxed();
    static NEW_NAME: BoxedStrategy<String> = matching("x_[a-z]{1,8}");
    static NEW_VALUE: BoxedStrategy<String> = matching("[a-z_]{1,16}");
    static ID_SUFFIX: BoxedStrategy<String> = matching("[0-9a-hjkmnp-tv-z]{1,26}");
    static JSON: BoxedStrategy<Value> = nested_json();
}

/// Any text, with a leaning to what breaks encoders.
pub(crate) fn text() -> BoxedStrategy<String> {
    TEXT.with(Clone::clone)
}

/// A known value, or one that no version knows.
pub(crate) fn open_enum<E>(known: &'static [E]) -> BoxedStrategy<E>
where
    E: Clone + std::fmt::Debug + From<String> + 'static,
{
    prop_oneof![4 => proptest::sample::select(known), 1 => NEW_VALUE.with(Clone::clone).prop_map(E::from)]
        .boxed()
}

/// An id with a suffix as servers mint it.
pub(crate) fn id<I: std::fmt::Debug + 'static>(with_suffix: fn(&str) -> I) -> BoxedStrategy<I> {
    ID_SUFFIX.with(Clone::clone).prop_map(move |suffix| with_suffix(&suffix)).boxed()
}

/// A whole second between 1970 and 2100.
pub(crate) fn time() -> BoxedStrategy<DateTime<Utc>> {
    (0..4_102_444_800_i64)
        .prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::UNIX_EPOCH))
        .boxed()
}

/// A finite number.
pub(crate) fn number() -> BoxedStrategy<f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, ZERO};
    (POSITIVE | NEGATIVE | NORMAL | ZERO).boxed()
}

/// Any JSON value, a few levels deep.
pub(crate) fn json() -> BoxedStrategy<Value> {
    JSON.with(Clone::clone)
}

fn nested_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        number().prop_map(|n| Number::from_f64(n).map_or(Value::Null, Value::Number)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((text(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

/// Any JSON object.
pub(crate) fn json_object() -> BoxedStrategy<JsonObject> {
    vec((text(), json()), 0..4).prop_map(|members| members.into_iter().collect()).boxed()
}

/// Members that no version knows.
pub(crate) fn extra() -> BoxedStrategy<Extra> {
    vec((NEW_NAME.with(Clone::clone), json()), 0..3).prop_map(|members| members.into_iter().collect()).boxed()
}

/// An object with a tag that no version knows.
pub(crate) fn raw_member(tag_name: &'static str) -> BoxedStrategy<RawMember> {
    (NEW_NAME.with(Clone::clone), extra())
        .prop_map(move |(tag, members)| RawMember::new(tag_name, tag, members.into()))
        .boxed()
}

/// Absent, `null` or a value.
pub(crate) fn patch<T: std::fmt::Debug + Clone + 'static>(
    value: BoxedStrategy<T>,
) -> BoxedStrategy<Patch<T>> {
    prop_oneof![Just(Patch::Absent), Just(Patch::Null), value.prop_map(Patch::Value)].boxed()
}

/// A few items.
pub(crate) fn items<T: std::fmt::Debug + 'static>(item: BoxedStrategy<T>) -> BoxedStrategy<Vec<T>> {
    vec(item, 0..4).boxed()
}

/// A few entries.
pub(crate) fn map<T: std::fmt::Debug + 'static>(
    value: BoxedStrategy<T>,
) -> BoxedStrategy<BTreeMap<String, T>> {
    btree_map(text(), value, 0..4).boxed()
}

/// A value or none.
pub(crate) fn optional<T: std::fmt::Debug + 'static>(value: BoxedStrategy<T>) -> BoxedStrategy<Option<T>> {
    proptest::option::of(value).boxed()
}

impl Arbitrary for EmbeddingVector {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, ZERO};
        let floats = vec(POSITIVE | NEGATIVE | NORMAL | ZERO, 0..4);
        (floats, any::<bool>())
            .prop_map(|(floats, packed)| if packed { Self::pack(&floats) } else { Self::Floats(floats) })
            .boxed()
    }
}

impl<T: Arbitrary + Clone + 'static> Arbitrary for List<T> {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        let id = || optional(text());
        (items(any::<T>()), id(), id(), any::<bool>(), extra())
            .prop_map(|(data, first_id, last_id, has_more, extra)| Self {
                object: ObjectType::List,
                data,
                first_id,
                last_id,
                has_more,
                extra,
            })
            .boxed()
    }
}
