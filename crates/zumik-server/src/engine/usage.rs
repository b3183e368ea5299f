//! What a provider says a generation took.

use serde::Deserialize;
use serde_json::Value;

use super::members::Members;

/// Tokens of one generation, as the provider reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Tokens of the prompt.
    pub(crate) input: u64,
    /// Tokens of the answer.
    pub(crate) output: u64,
    /// Tokens that were read from a cache; nothing when the provider does not say.
    pub(crate) cached: Option<u64>,
}

/// The `usage` of any of OpenAI's APIs: chat completions and responses have names of their own. Some providers send both,
/// one of them with nothing but zeros.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Reported {
    prompt_tokens: Value,
    input_tokens: Value,
    completion_tokens: Value,
    output_tokens: Value,
    prompt_tokens_details: Value,
    input_tokens_details: Value,
}

impl Usage {
    /// The usage in an answer or event of any of the APIs: its member `usage`. Nothing when there is none that can be
    /// read.
    pub(crate) fn of(object: &Members<'_>) -> Option<Self> {
        serde_json::from_slice::<Reported>(object.value("usage")?).ok()?.whole()
    }

    /// The same, of a value that is the usage itself.
    pub(crate) fn read(usage: &Value) -> Option<Self> {
        Reported::deserialize(usage).ok()?.whole()
    }

    /// Tokens of the prompt and of the answer. A provider may report any numbers.
    pub(crate) fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl Reported {
    fn whole(self) -> Option<Usage> {
        let cached = |details: &Value| details["cached_tokens"].as_u64();
        Some(Usage {
            input: either(self.prompt_tokens.as_u64(), self.input_tokens.as_u64())?,
            output: either(self.completion_tokens.as_u64(), self.output_tokens.as_u64()).unwrap_or(0),
            cached: either(cached(&self.prompt_tokens_details), cached(&self.input_tokens_details)),
        })
    }
}

/// The count that says more.
fn either(chat: Option<u64>, response: Option<u64>) -> Option<u64> {
    chat.filter(|count| *count > 0).or(response).or(chat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_of_every_api_is_read() {
        let of = |body: &str| Usage::of(&Members::of(body.as_bytes()).unwrap());
        let usage = |input, output, cached| Some(Usage { input, output, cached });
        for (body, expected) in [
            (
                r#"{"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":0}}}"#,
                usage(9, 2, Some(8)),
            ),
            (
                r#"{"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":null}}"#,
                usage(9, 2, None),
            ),
            (
                r#"{"usage":{"input_tokens":9,"output_tokens":2,"input_tokens_details":{"cached_tokens":0}}}"#,
                usage(9, 2, Some(0)),
            ),
            (r#"{"usage":{"prompt_tokens":9,"total_tokens":9}}"#, usage(9, 0, None)),
            (
                r#"{"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":8},"input_tokens":0,"output_tokens":0,"input_tokens_details":null}}"#,
                usage(9, 2, Some(8)),
            ),
            (
                r#"{"usage":{"prompt_tokens":0,"completion_tokens":0,"prompt_tokens_details":{"cached_tokens":0},"input_tokens":9,"output_tokens":2,"input_tokens_details":{"cached_tokens":8}}}"#,
                usage(9, 2, Some(8)),
            ),
            (
                r#"{"usage":{"prompt_tokens":0,"completion_tokens":0,"prompt_tokens_details":[]}}"#,
                usage(0, 0, None),
            ),
            (r#"{"usage":null}"#, None),
            (r#"{"usage":{"prompt_tokens":-9}}"#, None),
            ("{}", None),
        ] {
            assert_eq!(of(body), expected, "{body}");
            let whole: Value = serde_json::from_str(body).unwrap();
            assert_eq!(Usage::read(&whole["usage"]), expected, "{body}");
        }
    }
}
