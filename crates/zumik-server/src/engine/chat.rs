//! Chat completions, whole or event by event, read for what they say.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::members::Members;
use super::{ProviderError, Usage};

/// What one event adds, or a whole answer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    /// Text of the first choice, a refusal included.
    pub(crate) text: String,
    /// What else a model wrote: the text of other choices, and the names and arguments of calls.
    pub(crate) rest: String,
    /// Why the first choice ended, if it did.
    pub(crate) finish_reason: Option<String>,
    /// Which choices it is of.
    pub(crate) choices: Choices,
    /// The usage, if it is told.
    pub(crate) usage: Option<Usage>,
}

/// Which choices have begun and which have ended, a bit for each. OpenAI makes 128 at most; whatever is beyond the first 127
/// never ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Choices {
    begun: u128,
    ended: u128,
}

/// The answer that events add up to.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The text.
    pub(crate) text: String,
    /// Whether it ends early, at the most tokens asked for.
    pub(crate) truncated: bool,
    /// Its choices.
    pub(crate) choices: Choices,
}

/// The content of a message: a text, or parts, of which those of the type `text` are one text. `null` is an empty one.
#[derive(Debug, Default)]
pub(crate) struct Content<'a>(pub(crate) Cow<'a, str>);

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Message<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Content<'a>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    function: Option<Called<'a>>,
    #[serde(borrow)]
    custom: Option<Called<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<Cow<'a, str>>,
}

/// The members of an event.
///
/// # Errors
/// It is no JSON object, or an error.
pub(crate) fn event(data: &[u8]) -> Result<Members<'_>, ProviderError> {
    let members = Members::of(data).map_err(|_| ProviderError::Malformed("an event is no JSON object"))?;
    if members.value("error").is_some() {
        return Err(ProviderError::in_answer(data));
    }
    Ok(members)
}

impl Delta {
    /// What an event adds.
    ///
    /// # Errors
    /// As [`event`], or its choices cannot be read.
    pub(crate) fn read(data: &[u8]) -> Result<Self, ProviderError> {
        let members = event(data)?;
        let choices =
            choices(&members).ok_or(ProviderError::Malformed("the choices of an event cannot be read"))?;
        Ok(Self::sum(&members, choices))
    }

    /// What an event adds or an answer says whose members have been found, as far as it can be read.
    pub(crate) fn of(members: &Members<'_>) -> Self {
        Self::sum(members, choices(members).unwrap_or_default())
    }

    fn sum(members: &Members<'_>, choices: Vec<Choice<'_>>) -> Self {
        let mut delta = Self { usage: Usage::of(members), ..Self::default() };
        for Choice { index, delta: piece, message, finish_reason } in choices {
            let index = index.unwrap_or(0);
            delta.choices.add(Choices::one(index, finish_reason.is_some()));
            if let Some(message) = piece.or(message) {
                let text = if index == 0 { &mut delta.text } else { &mut delta.rest };
                text.push_str(&message.content.0);
                text.push_str(message.refusal.as_deref().unwrap_or_default());
                delta.rest.extend(message.calls());
            }
            if index == 0 {
                delta.finish_reason = finish_reason.map(Cow::into_owned).or(delta.finish_reason);
            }
        }
        delta
    }
}

/// The choices of an event or an answer: none when it has no such member, nothing when they cannot be read.
fn choices<'a>(members: &Members<'a>) -> Option<Vec<Choice<'a>>> {
    match members.value("choices") {
        Some(_) => members.read("choices"),
        None => Some(Vec::new()),
    }
}

impl<'a> Message<'a> {
    /// The names and arguments of its calls, as far as they can be read.
    fn calls(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let calls = self.tool_calls.and_then(|calls| serde_json::from_str::<Vec<Call<'a>>>(calls.get()).ok());
        let called = calls.into_iter().flatten().flat_map(|call| [call.function, call.custom]);
        called.flatten().flat_map(|called| [called.name, called.arguments, called.input]).flatten()
    }
}

impl Choices {
    fn one(index: u64, has_ended: bool) -> Self {
        const LAST: u64 = u128::BITS as u64 - 1;
        let bit = 1 << index.min(LAST);
        Self { begun: bit, ended: if has_ended && index < LAST { bit } else { 0 } }
    }

    /// Adds what an event is of.
    pub(crate) fn add(&mut self, more: Self) {
        self.begun |= more.begun;
        self.ended |= more.ended;
    }

    /// Whether some have begun, and all of those have ended.
    pub(crate) fn have_ended(self) -> bool {
        self.begun != 0 && self.begun == self.ended
    }
}

impl Collected {
    /// Adds an event.
    pub(crate) fn take(&mut self, delta: Delta) {
        self.text.push_str(&delta.text);
        self.truncated |= delta.finish_reason.as_deref() == Some("length");
        self.choices.add(delta.choices);
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or parts of one")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Content::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let mut whole = String::new();
                while let Some(part) = parts.next_element::<Value>()? {
                    match (part["type"].as_str(), part["text"].as_str()) {
                        (Some("text") | None, Some(text)) => whole.push_str(text),
                        (Some("text") | None, None) => return Err(A::Error::custom("a part has no text")),
                        (Some(_), _) => {}
                    }
                }
                Ok(Content(Cow::Owned(whole)))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_add_up_to_the_answer() {
        let mut collected = Collected::default();
        for data in [
            r#"{"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"x"}},{"index":0,"delta":{"content":"a\n"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"b","tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"c"}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":null},"finish_reason":"length"}],"usage":null}"#,
            r#"{"choices":[]}"#,
            "{}",
        ] {
            collected.take(Delta::read(data.as_bytes()).unwrap());
        }
        assert_eq!((collected.text.as_str(), collected.truncated), ("a\nbc", true));
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
        assert_eq!(
            Delta::read(usage.as_bytes()).unwrap().usage,
            Some(Usage { input: 3, output: 2, cached: None })
        );
    }

    #[test]
    fn an_error_within_the_stream_is_a_failure() {
        let error = Delta::read(br#"{"error":{"message":"overloaded","type":"server_error"}}"#).unwrap_err();
        assert!(matches!(&error, ProviderError::Reported(r) if r.message == "overloaded"));
        assert!(matches!(Delta::read(b"[]"), Err(ProviderError::Malformed(_))));
    }

    #[test]
    fn an_event_whose_choices_cannot_be_read_is_none_of_an_answer() {
        for choices in [
            r#"[{"delta":{"content":7}}]"#,
            r#"[{"delta":{"content":{"text":"a"}}}]"#,
            r#"[{"delta":{"content":["a"]}}]"#,
            r#"[{"delta":{"content":[{"type":"text"}]}}]"#,
            r#"[{"delta":"a"}]"#,
            r#"{"delta":{"content":"a"}}"#,
        ] {
            let event = format!(r#"{{"choices":{choices}}}"#);
            assert!(matches!(Delta::read(event.as_bytes()), Err(ProviderError::Malformed(_))), "{event}");
            // Who passes it on only counts it.
            let counted = Delta::of(&Members::of(event.as_bytes()).unwrap());
            assert_eq!((&*counted.text, &*counted.rest), ("", ""), "{event}");
        }
    }

    #[test]
    fn everything_that_a_model_wrote_can_be_counted() {
        let answer = r#"{"choices":[
            {"index":0,"message":{"content":"a","tool_calls":[
                {"id":"1","function":{"name":"f","arguments":"{}"}},{"id":"2","custom":{"name":"g","input":"x"}}
            ]},"finish_reason":"tool_calls"},
            {"index":1,"message":{"content":null,"refusal":"No."},"finish_reason":"stop"},
            {"index":2,"message":{"content":[{"type":"text","text":"b"}],"tool_calls":"?"},"finish_reason":"stop"}
        ]}"#;
        let said = Delta::of(&Members::of(answer.as_bytes()).unwrap());
        assert_eq!((&*said.text, &*said.rest), ("a", "f{}gxNo.b"));
    }

    #[test]
    fn an_answer_has_ended_when_each_of_its_choices_has() {
        let of = |events: &[&[(u64, bool)]]| {
            let mut choices = Choices::default();
            events
                .iter()
                .copied()
                .flatten()
                .for_each(|(index, ended)| choices.add(Choices::one(*index, *ended)));
            choices.have_ended()
        };
        assert!(!of(&[]));
        assert!(!of(&[&[(0, false)]]));
        assert!(of(&[&[(0, false)], &[(0, true)]]));
        assert!(!of(&[&[(0, true), (1, false)]]));
        assert!(of(&[&[(0, true), (126, false)], &[(126, true)]]));
        assert!(!of(&[&[(0, true), (127, true)]]));
        assert!(!of(&[&[(u64::MAX, true)]]));
    }
}
