//! What an error of the database means for an operation.

use deadpool_postgres::PoolError;
use thiserror::Error;
use tokio_postgres::error::{Severity, SqlState};

use crate::store::StoreError;

/// Another transaction was faster, and this one was rolled back: run again it sees what the other did.
#[derive(Debug, Error)]
#[error("another transaction was faster")]
pub(super) struct Race(#[source] pub(super) Option<tokio_postgres::Error>);

impl Race {
    pub(super) fn lost() -> StoreError {
        StoreError::unavailable(Self(None))
    }

    /// Whether an operation failed because of a race.
    pub(super) fn is(error: &StoreError) -> bool {
        matches!(error, StoreError::Unavailable(source) if source.is::<Self>())
    }
}

/// The database accepts no writes: it is a standby, or was told so.
#[derive(Debug, Error)]
#[error("the database does not accept writes")]
pub(super) struct ReadOnly;

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else {
            // No answer of the database: the connection broke, or a value was not understood.
            return if error.is_closed() || has_io(&error) {
                Self::unavailable(error)
            } else {
                Self::internal(error)
            };
        };
        match state {
            &SqlState::T_R_SERIALIZATION_FAILURE
            | &SqlState::T_R_DEADLOCK_DETECTED
            | &SqlState::UNIQUE_VIOLATION => Self::unavailable(Race(Some(error))),
            &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::QUERY_CANCELED
            | &SqlState::READ_ONLY_SQL_TRANSACTION
            | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Self::unavailable(error),
            // Connections, resources (a full disk, too many connections), an operator's intervention, I/O.
            other if ["08", "53", "57", "58"].contains(&&other.code()[..2]) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

/// What an error of a commit means, or of a statement that commits by itself.
pub(super) fn of_commit(error: tokio_postgres::Error) -> StoreError {
    // An `ERROR` is told by a database that goes on, and has rolled back. With anything worse, as with a connection that
    // breaks, nothing is told of the commit.
    let is_told = error.as_db_error().is_some_and(|told| told.parsed_severity() == Some(Severity::Error));
    match StoreError::from(error) {
        StoreError::Unavailable(source) if !is_told => StoreError::OutcomeUnknown(source),
        other => other,
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => match Self::from(error) {
                // Whatever keeps a connection from being made is for the operator to mend.
                Self::Internal(source) | Self::Unavailable(source) => Self::Unavailable(source),
                other => other,
            },
            other => Self::unavailable(other),
        }
    }
}

/// Why TLS refused the certificate of the database, if that is what went wrong.
pub(super) fn refused_certificate(error: &tokio_postgres::Error) -> Option<rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        // What an I/O error wraps is no source of it.
        let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(refused @ rustls::Error::InvalidCertificate(_)) = tls {
            return Some(refused.clone());
        }
        cause = error.source();
    }
    None
}

fn has_io(error: &tokio_postgres::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}
