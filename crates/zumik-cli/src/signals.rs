//! Being asked to stop: Ctrl-C, SIGTERM, and a terminal that was closed.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

/// Listens from the moment it is made, so that no signal in between is lost.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        Self::install().map_err(|e| Failure::because("cannot listen for signals", &e))
    }

    #[cfg(unix)]
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    #[cfg(not(unix))]
    fn install() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for work that looks at `stop` and puts away what it began; asked to stop once more, the command ends at once.
    pub(crate) async fn until_done<T>(
        mut self,
        work: impl Future<Output = T>,
        stop: &AtomicBool,
    ) -> Result<T, Failure> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.stop() => {
                    if stop.swap(true, Ordering::Relaxed) {
                        return Err(Failure::Interrupted);
                    }
                }
                done = &mut work => return Ok(done),
            }
        }
    }

    /// Waits for the next request to stop.
    #[cfg(unix)]
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Waits for the next request to stop.
    #[cfg(not(unix))]
    pub(crate) async fn stop(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
