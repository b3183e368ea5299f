//! What can go wrong with a body that has begun, silence included.

use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::error::{Error, ErrorKind};
use crate::pipeline::later;
use crate::sse::EventTooLarge;
use crate::transport::TransportError;

/// Why a body does not go on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection broke.
    Broken(TransportError),
    /// An event is over the limit.
    EventTooLarge(EventTooLarge),
    /// A line is over this limit.
    LineTooLong(usize),
    /// All that is kept is over this limit.
    TooLong(usize),
    /// Nothing came for this long.
    Idle(Duration),
}

impl Fault {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Broken(_) => ErrorKind::Interrupted,
            Self::EventTooLarge(_) | Self::LineTooLong(_) | Self::TooLong(_) => ErrorKind::Decode,
            Self::Idle(_) => ErrorKind::StreamIdle,
        }
    }

    /// The error of a body that `server` sent.
    pub(crate) fn into_error(self, server: &str) -> Error {
        let kind = self.kind();
        match self {
            Self::Broken(error) => {
                let message =
                    format!("the connection to {server} broke in the middle of the answer: {error}");
                Error::new(kind, message).with_cause(error)
            }
            Self::EventTooLarge(error) => Error::new(kind, error.to_string()).with_cause(error),
            Self::LineTooLong(_) | Self::TooLong(_) => Error::new(kind, self.to_string()),
            Self::Idle(_) => {
                Error::new(kind, format!("{server} went silent in the middle of the answer: {self}"))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "{error}"),
            Self::EventTooLarge(error) => write!(f, "{error}"),
            Self::LineTooLong(limit) => write!(f, "a line of the answer is longer than {limit} bytes"),
            Self::TooLong(limit) => write!(f, "the answer is longer than {limit} bytes"),
            Self::Idle(limit) => write!(f, "nothing came for {} s", limit.as_secs_f64()),
        }
    }
}

/// How long nothing has come. Counts only while somebody waits.
pub(crate) struct Silence {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    counting: bool,
}

impl Silence {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None, counting: false }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Something came.
    pub(crate) fn end(&mut self) {
        self.counting = false;
    }

    /// Ready when the limit is over. The first poll after something came begins the count.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = later(Instant::now(), self.limit);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(Duration::ZERO)));
        if !std::mem::replace(&mut self.counting, true) {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}
