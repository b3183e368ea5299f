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
    /// Nothing where it is ignored, as `nohup` has it: a handler would undo that.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
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
            hangup: if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
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
            Some(_) = async { self.hangup.as_mut()?.recv().await } => {}
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

/// Whether this process was started to outlive its terminal. Linux tells; elsewhere it is not known without a call that
/// the language has no safe form of.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is signal 1, the lowest bit.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
