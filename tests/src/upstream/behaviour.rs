//! How a request is answered, other than at once and well.

use std::str::FromStr;
use std::time::Duration;

/// How one request is answered. The default is: at once, and well.
///
/// Written as a query it has the same names: `delay_ms`, `pause_ms`, `status`, `retry_after`, `body`, `chunks`, `size`,
/// `pieces_of`, `cached_tokens`, `usage=false` and `fault=NAME` or `fault=NAME:FRAMES`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Waits so long before the head of the answer.
    pub delay: Duration,
    /// Waits so long before each frame.
    pub pause: Duration,
    /// Answers an error with this status.
    pub status: Option<u16>,
    /// Sends `Retry-After` with these seconds.
    pub retry_after: Option<u64>,
    /// Sends this as the body, whatever was asked.
    pub body: Option<String>,
    /// Gives the text in so many pieces. Without it, and without a size, in one for each word.
    pub chunks: Option<usize>,
    /// Gives a text of pieces of so many bytes instead of an echo.
    pub size: Option<usize>,
    /// Cuts the bytes of a stream into pieces of this length, whatever they are part of.
    pub pieces_of: Option<usize>,
    /// Reports so many tokens as read from a cache.
    pub cached_tokens: u64,
    /// Reports no usage.
    pub without_usage: bool,
    /// Goes wrong on the way.
    pub fault: Option<Fault>,
}

/// What goes wrong on the way. Frames are the events of a stream, or the two halves of a plain body; those before the
/// fault are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is read, and nothing comes back.
    Silence,
    /// The request is read, and the connection ends without an answer.
    HangUp,
    /// After the head and so many frames nothing more comes.
    Stall(usize),
    /// After the head and so many frames the connection breaks.
    Cut(usize),
    /// After so many frames the body ends in order, without its last frames.
    End(usize),
    /// After so many frames the stream has one with an error, and ends.
    Error(usize),
    /// After so many frames the stream has one that blames the length of the prompt, and ends.
    TooLong(usize),
    /// After so many frames comes one that is not JSON.
    Rubbish(usize),
}

impl Behaviour {
    /// An error with a status.
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// An answer on whose way something goes wrong.
    pub fn fault(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(query: &str) -> Result<Self, String> {
        let mut behaviour = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("'{pair}' has no value"))?;
            behaviour.set(name, value)?;
        }
        Ok(behaviour)
    }
}

impl Behaviour {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "delay_ms" => self.delay = Duration::from_millis(number(name, value)?),
            "pause_ms" => self.pause = Duration::from_millis(number(name, value)?),
            "status" => self.status = Some(number(name, value)?),
            "retry_after" => self.retry_after = Some(number(name, value)?),
            "body" => self.body = Some(value.to_owned()),
            "chunks" => self.chunks = Some(number(name, value)?),
            "size" => self.size = Some(number(name, value)?),
            "pieces_of" => self.pieces_of = Some(number(name, value)?),
            "cached_tokens" => self.cached_tokens = number(name, value)?,
            "usage" => self.without_usage = value == "false",
            "fault" => self.fault = Some(value.parse()?),
            _ => return Err(format!("there is no behaviour '{name}'")),
        }
        Ok(())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, frames) = text.split_once(':').unwrap_or((text, "0"));
        let frames = number("fault", frames)?;
        Ok(match name {
            "silence" => Self::Silence,
            "hang_up" => Self::HangUp,
            "stall" => Self::Stall(frames),
            "cut" => Self::Cut(frames),
            "end" => Self::End(frames),
            "error" => Self::Error(frames),
            "too_long" => Self::TooLong(frames),
            "rubbish" => Self::Rubbish(frames),
            _ => return Err(format!("there is no fault '{name}'")),
        })
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("'{name}' is not a number: '{value}'"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Behaviour, Fault};

    #[test]
    fn a_query_says_what_the_fields_say() {
        let query = "delay_ms=5&status=429&retry_after=2&cached_tokens=7&usage=false&fault=stall:3";
        let expected = Behaviour {
            delay: Duration::from_millis(5),
            status: Some(429),
            retry_after: Some(2),
            cached_tokens: 7,
            without_usage: true,
            fault: Some(Fault::Stall(3)),
            ..Behaviour::default()
        };
        assert_eq!(query.parse(), Ok(expected));
    }

    #[test]
    fn a_query_that_means_nothing_is_refused() {
        for query in ["stauts=429", "status=often", "fault=hiccup", "fault=stall:x", "status"] {
            assert!(query.parse::<Behaviour>().is_err(), "{query}");
        }
    }
}
