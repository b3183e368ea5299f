//! Answers by what they say.

use crate::{Batch, BatchStatus, V1FunctionCall, V1OutputContent, V1OutputItem, V1Response, V1ResponseError};

/// Codes by which OpenAI's failed responses blame the request.
const CODES_OF_REQUESTS: [&str; 18] = [
    "invalid_prompt",
    "bio_policy",
    "misalignment_policy_violation",
    "invalid_image",
    "invalid_image_format",
    "invalid_base64_image",
    "invalid_image_url",
    "invalid_image_mode",
    "image_too_large",
    "image_too_small",
    "image_parse_error",
    "image_content_policy_violation",
    "image_file_too_large",
    "image_file_not_found",
    "unsupported_image_media_type",
    "empty_image_file",
    "failed_to_download_image",
    "context_length_exceeded",
];

impl V1Response {
    /// All text of the answer.
    pub fn output_text(&self) -> String {
        let content = self.output.iter().filter_map(|item| match item {
            V1OutputItem::Message(message) => Some(&message.content),
            _ => None,
        });
        let texts = content.flatten().filter_map(|content| match content {
            V1OutputContent::OutputText(text) => Some(text.text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The function calls of the answer.
    pub fn function_calls(&self) -> impl Iterator<Item = &V1FunctionCall> {
        self.output.iter().filter_map(|item| match item {
            V1OutputItem::FunctionCall(call) => Some(call),
            _ => None,
        })
    }
}

impl Batch {
    /// Whether nothing more happens to it: by its status, or where this version does not know that, by its times.
    pub fn has_ended(&self) -> bool {
        use BatchStatus::{Cancelled, Completed, Expired, Failed, Unrecognized};
        match self.status {
            Completed | Failed | Expired | Cancelled => true,
            Unrecognized(_) => {
                let ends = [&self.completed_at, &self.failed_at, &self.expired_at, &self.cancelled_at];
                ends.into_iter().any(Option::is_some)
            }
            _ => false,
        }
    }
}

impl V1ResponseError {
    /// Whether a response that failed with this code blames the request, which then fails each time. With any other code
    /// the provider is to blame.
    pub fn blames_request(code: &str) -> bool {
        CODES_OF_REQUESTS.contains(&code)
    }
}
