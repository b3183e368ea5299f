//! One answer: asked for, shown as it comes, and summed up in one line.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use zumik_client::TextDeltas;
use zumik_client::types::{ChatCompletion, ChatCompletionChunk, ChatMessage, ExecutionMode};

use super::Chat;
use crate::failure::Failure;
use crate::term::{self, FAINT, WARN, styled};

/// An answer that has begun.
pub(super) struct Answer {
    deltas: TextDeltas<ChatCompletionChunk>,
    model: String,
    asked: Instant,
    first: Option<Duration>,
}

impl Answer {
    /// Asks for the answer to these messages.
    pub(super) async fn to(chat: &Chat, messages: &[ChatMessage]) -> Result<Self, Failure> {
        let asked = Instant::now();
        let mut call = chat.zk.v1().chat().completions().create(&chat.model, messages.iter().cloned());
        if let Some(session) = &chat.session {
            call = call.session_ref(session);
        }
        let stream = call.stream().await.map_err(Failure::call)?;
        Ok(Self { deltas: stream.text_deltas(), model: chat.model.clone(), asked, first: None })
    }

    /// Writes the text to standard output as it comes.
    pub(super) async fn show(mut self) -> Result<(ChatCompletion, Told), Failure> {
        let mut page = Page::new();
        while let Some(text) = self.deltas.next().await {
            match text {
                Ok(text) => {
                    self.first.get_or_insert_with(|| self.asked.elapsed());
                    page.write(&text)?;
                }
                Err(error) => {
                    page.end()?;
                    return Err(Failure::call(error));
                }
            }
        }
        page.end()?;
        self.silently().await
    }

    /// Waits for the whole.
    pub(super) async fn silently(self) -> Result<(ChatCompletion, Told), Failure> {
        let meta = self.deltas.stream().meta().clone();
        let completion = self.deltas.whole().await.map_err(Failure::call)?;
        let told = Told {
            model: meta.resolved_model().map_or(self.model, str::to_owned),
            provider: meta.resolved_provider().map(str::to_owned),
            mode: meta.execution_mode(),
            finish: completion
                .choices
                .first()
                .and_then(|choice| choice.finish_reason.as_ref())
                .map(ToString::to_string),
            usage: completion.usage.as_ref().map(|usage| {
                let cached = usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
                (usage.prompt_tokens, cached.unwrap_or(0), usage.completion_tokens)
            }),
            first: self.first,
            took: self.asked.elapsed(),
        };
        Ok((completion, told))
    }
}

/// Standard output, with an answer on it.
struct Page {
    /// Whether control characters would reach a terminal.
    harmless: bool,
    begun: bool,
    at_line_start: bool,
}

impl Page {
    fn new() -> Self {
        Self { harmless: io::stdout().is_terminal(), begun: false, at_line_start: true }
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        let Some(last) = text.chars().last() else { return Ok(()) };
        self.begun = true;
        self.at_line_start = last == '\n';
        let mut out = io::stdout().lock();
        let written = match self.harmless {
            true => out.write_all(term::harmless(text).as_bytes()),
            false => out.write_all(text.as_bytes()),
        };
        written.and_then(|()| out.flush()).map_err(Failure::output)
    }

    /// Ends the last line.
    fn end(&mut self) -> Result<(), Failure> {
        if self.begun && !self.at_line_start { self.write("\n") } else { Ok(()) }
    }
}

/// What ran.
pub(super) struct Told {
    model: String,
    provider: Option<String>,
    mode: Option<ExecutionMode>,
    finish: Option<String>,
    /// Tokens read, of those from a cache, and tokens written.
    usage: Option<(u64, u64, u64)>,
    first: Option<Duration>,
    took: Duration,
}

impl Told {
    /// One line on standard error; another where no model answered.
    pub(super) fn report(&self) {
        term::print_error(styled(FAINT, term::printable(&self.to_string())));
        if self.mode == Some(ExecutionMode::Placeholder) {
            term::print_error(styled(
                WARN,
                "placeholder: no model answered; start the server with a model: zumik serve --upstream URL",
            ));
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.model)?;
        if let Some(provider) = &self.provider {
            write!(f, " ({provider})")?;
        }
        if let Some((read, cached, written)) = self.usage {
            write!(
                f,
                ", {} tokens in, {} cached, {} out",
                term::count(read),
                term::count(cached),
                term::count(written)
            )?;
        }
        if let Some(finish) = self.finish.as_ref().filter(|reason| *reason != "stop") {
            write!(f, ", ended by {finish}")?;
        }
        if let Some(first) = self.first {
            write!(f, ", first text after {}", term::millis(first.as_secs_f64() * 1e3))?;
        }
        write!(f, ", {}", term::millis(self.took.as_secs_f64() * 1e3))
    }
}
