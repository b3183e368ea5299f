//! What went wrong in the middle of a provider's answer, as the response that it ends tells of it.

use serde_json::Value;

use crate::engine::Trouble;

/// Code and message of a response that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) message: String,
    /// What is wrong with what came, when that is the failure.
    pub(super) malformed: Option<&'static str>,
}

/// The code of a failure that the provider gives no code of its own for, in a stream as before it.
const CODE: &str = "provider_error";

impl Fault {
    /// What came is not what was asked for.
    pub(super) fn malformed(problem: &'static str) -> Self {
        let message = format!("The provider of this model {}.", Trouble::Malformed(problem));
        Self { malformed: Some(problem), ..Self::of(message) }
    }

    /// What a provider says of a failure: an object with `code`, which may be a number, and `message`, or a text.
    pub(super) fn reported(error: &Value) -> Self {
        let text = |name: &str| error[name].as_str().filter(|text| !text.is_empty());
        let message = error.as_str().or_else(|| text("message"));
        let fault =
            Self::of(message.unwrap_or("The provider of this model failed in its answer.").to_owned());
        let number = || error["code"].as_number().map(ToString::to_string);
        match text("code").map(str::to_owned).or_else(number) {
            Some(code) => Self { code, ..fault },
            None => fault,
        }
    }

    fn of(message: String) -> Self {
        Self { code: CODE.to_owned(), message, malformed: None }
    }
}
