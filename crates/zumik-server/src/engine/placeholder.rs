//! The engine that is there when no model is: deterministic filler that says what it is.

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::tokens::truncate;
use super::{Failure, Generated, Local, Prompted};
use crate::blocking::blocking;
use crate::domain::{Message, Role};

/// Answers every prompt with a text that is a function of model and prompt alone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Placeholder {
    delay: Duration,
}

impl Placeholder {
    /// One that takes `delay` for each answer, as a model would: for trying out deadlines, cancels and retries.
    pub(crate) fn with_delay(delay: Duration) -> Self {
        Self { delay }
    }
}

#[async_trait]
impl Local for Placeholder {
    async fn generate(&self, request: &Prompted<'_>) -> Result<Generated, Failure> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let whole = text(request.model, request.messages);
        let cut = match request.max_output_tokens {
            None => None,
            Some(most) => {
                let whole = whole.clone();
                blocking(move || truncate(&whole, most)).await?
            }
        };
        let truncated = cut.is_some();
        Ok(Generated { text: cut.unwrap_or(whole), truncated })
    }
}

/// The filler. The digest shows whether two prompts were the same, byte for byte.
fn text(model: &str, messages: &[Message]) -> String {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    for message in messages {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        hash.update(role);
        hash.update((message.text.len() as u64).to_be_bytes());
        hash.update(&message.text);
        bytes += message.text.len();
    }
    let digest = hash.finalize();
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!(
        "[placeholder] No model is connected to this server, so none answered. '{model}' would have been given {} \
         ({bytes} bytes, prompt {digest}).",
        if messages.len() == 1 { "1 message".to_owned() } else { format!("{} messages", messages.len()) }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, text: &str) -> Message {
        Message { role, text: text.to_owned() }
    }

    #[test]
    fn the_text_is_a_function_of_model_and_prompt() {
        let prompt = [message(Role::System, "Be terse."), message(Role::User, "Hi")];
        let one = text("code.fast", &prompt);
        assert_eq!(one, text("code.fast", &prompt));
        assert!(one.starts_with("[placeholder]"), "{one}");
        assert_ne!(one, text("code.best", &prompt));
        assert_ne!(one, text("code.fast", &[message(Role::System, "Be terse."), message(Role::User, "Ho")]));
        assert_ne!(one, text("code.fast", &[message(Role::User, "Be terse."), message(Role::User, "Hi")]));
        assert_ne!(
            text("auto", &[message(Role::User, "ab"), message(Role::User, "c")]),
            text("auto", &[message(Role::User, "a"), message(Role::User, "bc")])
        );
    }

    #[tokio::test]
    async fn a_short_limit_cuts_the_text() {
        let prompt = [message(Role::User, "Hi")];
        let ask = |max_output_tokens| Prompted { model: "auto", messages: &prompt, max_output_tokens };
        let whole = Placeholder::default().generate(&ask(None)).await.unwrap();
        let cut = Placeholder::default().generate(&ask(Some(3))).await.unwrap();
        assert!(!whole.truncated && cut.truncated);
        assert!(whole.text.starts_with(&cut.text) && cut.text.len() < whole.text.len());
    }
}
