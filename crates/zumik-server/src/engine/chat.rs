//! The events of a chat completion's stream, read for what they add to the answer.

use std::borrow::Cow;

use serde::Deserialize;

use super::members::Members;
use super::{ProviderError, Usage};

/// What one event adds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    /// Text of the first choice, a refusal included.
    pub(crate) text: String,
    /// Why the first choice ended, if it did.
    pub(crate) finish_reason: Option<String>,
    /// The usage, if the event tells it.
    pub(crate) usage: Option<Usage>,
}

/// The answer that events add up to.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The text.
    pub(crate) text: String,
    /// Whether it ends early, at the most tokens asked for.
    pub(crate) truncated: bool,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
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
    /// As [`event`].
    pub(crate) fn read(data: &[u8]) -> Result<Self, ProviderError> {
        event(data).map(|members| Self::of(&members))
    }

    /// What an event adds whose members have been found.
    pub(crate) fn of(members: &Members<'_>) -> Self {
        let mut delta = Self { usage: Usage::of(members), ..Self::default() };
        let choices: Vec<Choice<'_>> = members.read("choices").unwrap_or_default();
        for choice in choices.into_iter().filter(|choice| choice.index == 0) {
            if let Some(text) = choice.delta {
                for part in [text.content, text.refusal].into_iter().flatten() {
                    delta.text.push_str(&part);
                }
            }
            delta.finish_reason = choice.finish_reason.map(Cow::into_owned).or(delta.finish_reason);
        }
        delta
    }
}

impl Collected {
    /// Adds an event.
    pub(crate) fn take(&mut self, delta: Delta) {
        self.text.push_str(&delta.text);
        self.truncated |= delta.finish_reason.as_deref() == Some("length");
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
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":null}"#,
            r#"{"choices":[]}"#,
            "{}",
        ] {
            collected.take(Delta::read(data.as_bytes()).unwrap());
        }
        assert_eq!((collected.text.as_str(), collected.truncated), ("a\nb", true));
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
}
