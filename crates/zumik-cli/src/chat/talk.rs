//! A conversation on a terminal.

use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};
use zumik_client::types::ChatMessage;

use super::Chat;
use super::answer::Answer;
use crate::failure::Failure;
use crate::term::{self, FAINT, STRONG, Screen, styled};

/// What is shown where the user may type.
const PROMPT: &str = "> ";

/// The lines typed in this conversation. They are kept in memory only: prompts belong in no file that nobody asked for.
type Lines = Editor<(), MemHistory>;

/// What the user wants.
enum Wish {
    Ask(String),
    Help,
    Clear,
    End,
    Nothing,
    /// A command that there is not. It may be a slip of the finger, and a question costs money.
    Unknown(String),
}

impl Wish {
    /// A command is a slash and one word; everything else is for the model.
    fn of(line: &str) -> Self {
        match line.trim() {
            "" => Self::Nothing,
            "/help" | "/?" => Self::Help,
            "/clear" => Self::Clear,
            "/quit" | "/exit" => Self::End,
            text => match text.strip_prefix('/') {
                Some(name) if name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                    Self::Unknown(text.to_owned())
                }
                _ => Self::Ask(text.to_owned()),
            },
        }
    }
}

/// Asks and answers until the user ends it: Ctrl-D, /quit, or Ctrl-C twice where one may type.
pub(super) async fn talk(chat: &Chat) -> Result<(), Failure> {
    let mut screen = Screen::new(false);
    let model = styled(STRONG, term::printable(&chat.model)).to_string();
    let hint = styled(FAINT, "Ctrl-C ends an answer, Ctrl-D the conversation; /help").to_string();
    screen.line(format_args!("{model} at {}  {hint}", chat.zk.base_url()))?;

    let unusable = |error: ReadlineError| Failure::because("cannot read from the terminal", &error);
    let config = Config::builder().auto_add_history(true).build();
    let mut lines = Lines::with_history(config, MemHistory::new()).map_err(unusable)?;
    let mut messages = chat.opening();
    let mut about_to_end = false;
    loop {
        let (back, line) = read(lines).await?;
        lines = back;
        match line {
            Ok(line) => {
                about_to_end = false;
                match Wish::of(&line) {
                    Wish::Ask(text) => turn(chat, &mut messages, text).await?,
                    Wish::Help => help(&mut screen)?,
                    Wish::Clear => {
                        messages = chat.opening();
                        screen
                            .line(styled(FAINT, "forgotten: the next question begins a new conversation"))?;
                    }
                    Wish::End => return Ok(()),
                    Wish::Nothing => {}
                    Wish::Unknown(name) => {
                        let hint = format!("there is no {name}; /help tells what there is");
                        screen.line(styled(FAINT, hint))?;
                    }
                }
            }
            Err(ReadlineError::Interrupted) if about_to_end => return Ok(()),
            Err(ReadlineError::Interrupted) => {
                about_to_end = true;
                screen.line(styled(FAINT, "Ctrl-C once more, or Ctrl-D, ends the conversation"))?;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(unusable(error)),
        }
    }
}

/// Reads a line on a thread that may block.
async fn read(mut lines: Lines) -> Result<(Lines, rustyline::Result<String>), Failure> {
    tokio::task::spawn_blocking(move || {
        let line = lines.readline(PROMPT);
        (lines, line)
    })
    .await
    .map_err(|error| Failure::because("cannot read from the terminal", &error))
}

/// A question and its answer. They become part of the conversation when the answer is whole; an answer that failed or
/// was cancelled takes its question with it.
async fn turn(chat: &Chat, messages: &mut Vec<ChatMessage>, text: String) -> Result<(), Failure> {
    messages.push(ChatMessage::user(text));
    let answer = async { Answer::to(chat, messages).await?.show().await };
    let answered = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
        answered = answer => answered,
    };
    match answered {
        Ok((completion, told)) => {
            messages.push(ChatMessage::assistant(completion.text().unwrap_or_default()));
            told.report();
            Ok(())
        }
        Err(Failure::NobodyReads) => Err(Failure::NobodyReads),
        Err(failure) => {
            messages.pop();
            match failure {
                // On a line of its own: the terminal has shown ^C where the answer stood.
                Failure::Interrupted => {
                    term::print_error(styled(FAINT, "\ncancelled; this question is not kept"))
                }
                other => other.report(),
            }
            Ok(())
        }
    }
}

fn help(screen: &mut Screen) -> Result<(), Failure> {
    screen.item("/clear", "forget the conversation and begin a new one")?;
    screen.item("/quit", "end; so does Ctrl-D")?;
    screen.item("Ctrl-C", "end the answer that is being written")?;
    screen.item("Up, Down", "earlier lines of this conversation")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_and_one_word_is_never_a_question() {
        assert!(matches!(Wish::of(" /hlep "), Wish::Unknown(name) if name == "/hlep"));
        assert!(matches!(Wish::of("/"), Wish::Unknown(_)));
        assert!(matches!(Wish::of("/clear"), Wish::Clear));
        for question in ["/etc/hosts: what is it?", "/tmp is full", "1/2"] {
            assert!(matches!(Wish::of(question), Wish::Ask(text) if text == question), "{question}");
        }
    }
}
