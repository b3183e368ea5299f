//! What speaks against a provider: the kind of its failure and nothing that it sent, so that it can be kept and told to anyone.

use std::error::Error;
use std::io;
use std::time::Duration;

use thiserror::Error;

/// How a provider failed, as what is said of it: "the provider …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Trouble {
    /// No connection could be opened.
    #[error("cannot be reached: {0}")]
    Unreachable(Obstacle),
    /// The connection broke off before the answer was complete.
    #[error("broke its answer off")]
    BrokeOff,
    /// Nothing came for so long.
    #[error("sent nothing for {} seconds", .0.as_secs())]
    Silent(Duration),
    /// It sent something all the time and came to no end.
    #[error("did not come to the end of its answer in {} seconds", .0.as_secs())]
    Endless(Duration),
    /// What came is not what was asked for.
    #[error("gave an answer that is not valid: {0}")]
    Malformed(&'static str),
    /// A status that is not the request's fault, and no limit.
    #[error("failed with status {0}")]
    Failed(u16),
    /// It reported an error within an answer that began as a success.
    #[error("reported an error within its answer")]
    Reported,
}

/// Why no connection could be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Obstacle {
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// Nobody answers there.
    #[error("opening a connection took too long")]
    TimedOut,
    /// There is no address for the name.
    #[error("the name of its host is not known")]
    UnknownHost,
    /// TLS was begun, and nothing came back or what is none.
    #[error("TLS was not answered there; its URL may have to begin with http://")]
    NoTls,
    /// The certificate cannot be relied on.
    #[error("its certificate is not valid here")]
    Certificate,
    /// Anything else.
    #[error("no connection could be opened")]
    Other,
}

impl Obstacle {
    /// What an error of opening a connection comes down to.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = Self::read(error) {
                return found;
            }
            next = error.source();
        }
        Self::Other
    }

    fn read(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // What it holds is no source of it.
            let inner = error.get_ref().and_then(|inner| Self::read(inner));
            return inner.or_else(|| Self::of_kind(error.kind()));
        }
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidMessage(_)) => Some(Self::NoTls),
            Some(rustls::Error::InvalidCertificate(_)) => Some(Self::Certificate),
            Some(_) => None,
            // The type of this one is private to the library.
            None => (error.to_string() == "dns error").then_some(Self::UnknownHost),
        }
    }

    fn of_kind(kind: io::ErrorKind) -> Option<Self> {
        match kind {
            io::ErrorKind::UnexpectedEof => Some(Self::NoTls),
            io::ErrorKind::ConnectionRefused => Some(Self::Refused),
            io::ErrorKind::TimedOut => Some(Self::TimedOut),
            _ => None,
        }
    }
}
