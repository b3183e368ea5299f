//! The one line that a user reads when a command fails, and its exit code.

use std::fmt::{self, Display};
use std::io;
use std::process::ExitCode;

use crate::term::{self, BAD, WARN, styled};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done; the text says what was wrong and what to do. Exit code 1.
    Failed(String),
    /// What was asked for makes no sense. Exit code 2.
    Usage(String),
    /// The command did what it was asked, and what it found is on standard output: exit code 1.
    Findings,
    /// Ctrl-C. Exit code 130, as shells expect.
    Interrupted,
    /// Whoever read our output has gone (`zumik … | head`): end silently, exit code 0.
    NobodyReads,
}

impl Failure {
    pub(crate) fn failed(message: impl Display) -> Self {
        Self::Failed(message.to_string())
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// A failure of ours with the whole chain of an error behind it, in one line.
    pub(crate) fn because(what: impl Display, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Failed(format!("{what}: {}", chain(error)))
    }

    /// The same for what makes no sense, by a whole chain of errors.
    pub(crate) fn misuse(what: impl Display, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Usage(format!("{what}: {}", chain(error)))
    }

    /// For a failed write to standard output.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::because("cannot write to standard output", &error),
        }
    }

    /// A call to a server that failed; the client's error is one line that says everything.
    pub(crate) fn call(error: zumik_client::Error) -> Self {
        Self::Failed(error.to_string())
    }

    /// The same failure, with what it was about before it.
    pub(crate) fn about(self, what: impl Display) -> Self {
        match self {
            Self::Failed(message) => Self::Failed(format!("{what}: {message}")),
            other => other,
        }
    }

    /// Writes the line to standard error.
    pub(crate) fn report(&self) {
        match self {
            Self::NobodyReads | Self::Findings => {}
            Self::Interrupted => term::print_error(styled(WARN, self)),
            _ => term::print_error(format_args!("{} {self}", styled(BAD, "error:"))),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::NobodyReads => 0,
            Self::Failed(_) | Self::Findings => 1,
            Self::Usage(_) => 2,
            Self::Interrupted => 130,
        })
    }
}

/// One line, whatever the message was made of.
impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Usage(message) => f.write_str(&term::printable(message)),
            Self::Interrupted => f.write_str("interrupted"),
            Self::NobodyReads | Self::Findings => Ok(()),
        }
    }
}

/// An error and its sources, joined by colons. A source that its parent already quotes is not said twice.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_without_control_characters() {
        let failure = Failure::failed("first\nsecond \u{1b}[31mred");
        assert_eq!(failure.to_string(), "first second \\u{1b}[31mred");
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let closed = Failure::output(io::ErrorKind::BrokenPipe.into());
        assert!(matches!(closed, Failure::NobodyReads));
    }
}
