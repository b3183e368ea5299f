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

/// The `usage` of any of OpenAI's APIs.
#[derive(Deserialize)]
struct Reported {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<u64>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<u64>,
    #[serde(alias = "prompt_tokens_details")]
    input_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
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
        Some(Usage {
            input: self.input_tokens?,
            output: self.output_tokens.unwrap_or(0),
            cached: self.input_tokens_details.and_then(|details| details.cached_tokens),
        })
    }
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
