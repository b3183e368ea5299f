//! Work on threads that may block, and what is told of work that never came to its end.

use thiserror::Error;
use tokio::task::JoinError;

/// Something panicked, or the runtime ended before it did. What a panic says may hold contents, so it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it panicked, or was broken off by the end of the process")]
pub(crate) struct BrokenOff;

impl From<JoinError> for BrokenOff {
    fn from(_: JoinError) -> Self {
        Self
    }
}

/// Does something that takes long on a thread for blocking work.
///
/// # Errors
/// It was broken off.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BrokenOff> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_panic_said_is_not_told() {
        let broken: Result<(), BrokenOff> = blocking(|| panic!("canary")).await;
        let broken = broken.unwrap_err();
        assert!(!format!("{broken} {broken:?}").contains("canary"));
    }
}
