//! What a shutdown waits for.

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::blocking::BrokenOff;

/// Requests, streams, and what must come to its end although whoever asked for it has gone. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(TaskTracker);

impl Running {
    /// Something runs until this is dropped.
    pub(crate) fn token(&self) -> TaskTrackerToken {
        self.0.token()
    }

    /// Does something to its end, also when whoever waits for it here goes away. It begins at once.
    ///
    /// # Errors
    /// Its own, or that it was broken off.
    pub(crate) fn see_through<W, T, E>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, E>> + Send + use<W, T, E>
    where
        W: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<BrokenOff> + Send + 'static,
    {
        let done = self.0.spawn(work);
        async move { done.await.unwrap_or_else(|error| Err(BrokenOff::from(error).into())) }
    }

    /// Begins something that nobody but a shutdown waits for. Without a runtime the process ends, and nothing begins.
    pub(crate) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            self.0.spawn_on(work, &runtime);
        }
    }

    /// Waits until nothing runs any more.
    pub(crate) async fn end(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_seen_through_ends_although_nobody_waits_for_it_and_the_end_waits() {
        let running = Running::default();
        let (go, gone) = oneshot::channel::<()>();
        let (done, mut is_done) = oneshot::channel();
        drop(running.see_through(async move {
            let _ = gone.await;
            done.send(()).map_err(|()| BrokenOff)
        }));
        let token = running.token();
        let end = tokio::spawn({
            let running = running.clone();
            async move { running.end().await }
        });
        assert!(is_done.try_recv().is_err());
        drop((go, token));
        end.await.unwrap();
        assert_eq!(is_done.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn what_a_panic_said_is_not_told() {
        let broken: Result<(), BrokenOff> = Running::default().see_through(async { panic!("canary") }).await;
        let broken = broken.unwrap_err();
        assert!(!format!("{broken} {broken:?}").contains("canary"));
    }

    #[test]
    fn nothing_begins_without_a_runtime() {
        Running::default().begin(async { panic!("it began") });
    }
}
