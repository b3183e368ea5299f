//! A provider's answer as a caller of this server gets it: under our id and the name that the caller used for the model.
//! Everything else stays as it is.

use std::borrow::Cow;

use bytes::Bytes;

use super::Identity;
use crate::engine::members::{Members, json};
use crate::engine::{Delta, ProviderError, Usage, chat_event};

/// The identity that all events of a stream share, as JSON.
#[derive(Debug)]
pub(super) struct Names {
    id: Vec<u8>,
    model: Vec<u8>,
    /// That of the first event; when the request came in, where that event tells none.
    created: Option<Vec<u8>>,
    requested: i64,
}

/// An event of a stream.
pub(super) struct Event {
    /// What goes out; nothing for one that the caller did not ask for.
    pub(super) data: Option<Vec<u8>>,
    /// What it adds to the answer.
    pub(super) delta: Delta,
}

impl Names {
    pub(super) fn of(identity: &Identity) -> Self {
        Self {
            id: json(&identity.id),
            model: json(&identity.model),
            created: None,
            requested: identity.created,
        }
    }

    /// A whole answer, and the usage that it tells.
    pub(super) fn whole(&self, answer: &Members<'_>) -> (Bytes, Option<Usage>) {
        let mut edit = answer.edit().set("id", &*self.id).set("model", &*self.model);
        if let Some(usage) = answer.value("usage").and_then(with_cached_tokens) {
            edit = edit.set("usage", usage);
        }
        (edit.finish().into(), Usage::of(answer))
    }

    /// An event of a stream. `asked` says whether the caller asked for the usage: one that did not gets none, be it that
    /// the provider was asked for it on the caller's behalf.
    ///
    /// # Errors
    /// It is no JSON object, or an error.
    pub(super) fn event(&mut self, data: &[u8], asked: bool) -> Result<Event, ProviderError> {
        let members = chat_event(data)?;
        let delta = Delta::of(&members);
        let usage = members.value("usage");
        if usage.is_some() && !asked && members.value("choices").is_none_or(is_empty) {
            return Ok(Event { data: None, delta });
        }
        let created = self.created.get_or_insert_with(|| match members.value("created") {
            Some(created) if created != b"0" => created.to_vec(),
            _ => self.requested.to_string().into_bytes(),
        });
        let mut edit =
            members.edit().set("id", &*self.id).set("created", &**created).set("model", &*self.model);
        match usage {
            Some(usage) if asked => {
                if let Some(usage) = with_cached_tokens(usage) {
                    edit = edit.set("usage", usage);
                }
            }
            _ => edit = edit.remove("usage"),
        }
        Ok(Event { data: Some(edit.finish()), delta })
    }
}

/// A usage with its `prompt_tokens_details.cached_tokens`, if it has none; 0 is what none means.
fn with_cached_tokens(usage: &[u8]) -> Option<Cow<'static, [u8]>> {
    let members = Members::of(usage).ok()?;
    let details = members.value("prompt_tokens_details").unwrap_or(b"{}");
    let details = Members::of(details).ok()?;
    if details.value("cached_tokens").is_some() {
        return None;
    }
    let details = details.edit().set("cached_tokens", &b"0"[..]).finish();
    Some(members.edit().set("prompt_tokens_details", details).finish().into())
}

fn is_array(value: &[u8]) -> bool {
    value.first() == Some(&b'[')
}

fn is_empty(value: &[u8]) -> bool {
    is_array(value) && value.iter().skip(1).find(|byte| !byte.is_ascii_whitespace()) == Some(&b']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::of(&Identity { id: "chatcmpl-rsp_1".to_owned(), model: "code.fast".to_owned(), created: 7 })
    }

    #[test]
    fn an_answer_keeps_everything_but_its_names() {
        let answer = br#"{ "id":"chatcmpl-x", "object":"chat.completion","created":1,"model":"gpt-4o-2024","choices":[{"index":0,"new":1.0}],
  "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"x":[]},"system_fingerprint":null}"#;
        let (answer, usage) = names().whole(&Members::of(answer).unwrap());
        assert_eq!(
            String::from_utf8_lossy(&answer),
            r#"{ "id":"chatcmpl-rsp_1", "object":"chat.completion","created":1,"model":"code.fast","choices":[{"index":0,"new":1.0}],
  "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"x":[],"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":null}"#
        );
        assert_eq!(usage, Some(Usage { input: 9, output: 2, cached: None }));
    }

    #[test]
    fn cached_tokens_that_are_told_stay() {
        for (usage, expected) in [
            (r#"{"prompt_tokens_details":{"cached_tokens":8}}"#, None),
            (
                r#"{"prompt_tokens_details":{"audio_tokens":0}}"#,
                Some(r#"{"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0}}"#),
            ),
            (r#"{"prompt_tokens_details":null}"#, Some(r#"{"prompt_tokens_details":{"cached_tokens":0}}"#)),
        ] {
            let found = with_cached_tokens(usage.as_bytes());
            assert_eq!(found.as_deref().map(String::from_utf8_lossy).as_deref(), expected, "{usage}");
        }
    }

    fn event(names: &mut Names, data: &str, asked: bool) -> Option<String> {
        names.event(data.as_bytes(), asked).unwrap().data.map(|data| String::from_utf8(data).unwrap())
    }

    #[test]
    fn all_events_have_one_identity_and_the_usage_goes_to_who_asked_for_it() {
        let usage = r#"{"id":"a","created":2,"model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":1}}}"#;
        let delta = r#"{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"x"}}],"usage":null}"#;
        let seen = r#"{"id":"chatcmpl-rsp_1","object":"chat.completion.chunk","created":1,"model":"code.fast","choices":[{"index":0,"delta":{"content":"x"}}]}"#;
        let (mut asked, mut not) = (names(), names());
        assert_eq!(event(&mut asked, delta, true).as_deref(), Some(seen));
        assert_eq!(event(&mut not, delta, false).as_deref(), Some(seen));
        assert_eq!(
            event(&mut asked, usage, true).as_deref(),
            Some(
                r#"{"id":"chatcmpl-rsp_1","created":1,"model":"code.fast","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":1}}}"#
            )
        );
        assert_eq!(event(&mut not, usage, false), None);
        // Some providers tell the usage together with the end of the answer.
        let both = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1},"id":"b"}"#;
        assert_eq!(
            event(&mut not, both, false).as_deref(),
            Some(
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"id":"chatcmpl-rsp_1","created":1,"model":"code.fast"}"#
            )
        );
        // The first event of Azure has no choices and no time, and no usage either.
        let filtered = r#"{"choices":[],"created":0,"id":"","model":"","prompt_filter_results":[]}"#;
        assert_eq!(
            event(&mut names(), filtered, false).as_deref(),
            Some(
                r#"{"choices":[],"created":7,"id":"chatcmpl-rsp_1","model":"code.fast","prompt_filter_results":[]}"#
            )
        );
    }
}
