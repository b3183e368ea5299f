//! Usage events on their way to the store: gathered in memory, written in groups, off the way of every answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use zumik_types::UsageEvent;

use crate::store::{Store, StoreError};

/// Events that wait at most. They wait only while the store cannot be written; one more is dropped and counted.
const MOST_WAITING: usize = 65_536;

/// Events of one transaction: few enough that writing them takes no processor away from answers for long.
const GROUP: usize = 16;

/// How long an event waits for others.
const PAUSE: Duration = Duration::from_millis(200);

/// Where every generation leaves its usage event.
///
/// What waits here is lost when the process is killed: an answer does not wait for its usage to be written.
pub(crate) struct UsageLog {
    store: Arc<dyn Store>,
    /// Events that found no room, or that the store refused.
    dropped: Counter,
    waiting: Mutex<VecDeque<UsageEvent>>,
    /// One flush at a time.
    turn: tokio::sync::Mutex<()>,
    /// There is something to write.
    filled: Notify,
    /// There is a whole group to write.
    full: Notify,
}

impl UsageLog {
    /// A log that writes to `store` and counts what it must drop.
    pub(crate) fn new(store: Arc<dyn Store>, dropped: Counter) -> Self {
        Self {
            store,
            dropped,
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            filled: Notify::new(),
            full: Notify::new(),
        }
    }

    /// Takes an event in. Never waits: a generation that ends because its client went away has nobody who could.
    pub(crate) fn record(&self, event: UsageEvent) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST_WAITING {
            self.dropped.inc();
            return;
        }
        waiting.push_back(event);
        match waiting.len() {
            1 => self.filled.notify_one(),
            GROUP => self.full.notify_one(),
            _ => {}
        }
    }

    /// Writes everything that was recorded before. An event that the store refuses is dropped, and counted.
    ///
    /// # Errors
    /// The store cannot be written; what could not be written goes on waiting.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let mut left = self.waiting.lock().len();
        while left > 0 {
            // They wait until they are written: a flush that is broken off loses none, and the store knows a group
            // that it is sent twice.
            let group: Vec<_> = self.waiting.lock().iter().take(GROUP.min(left)).cloned().collect();
            let count = group.len();
            match self.store.record_usage(group.clone()).await {
                Ok(()) => {
                    self.waiting.lock().drain(..count);
                }
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                // It is about one of them, and must not hold up the others, nor those that come.
                Err(_) => self.write_singly(group).await?,
            }
            left -= count;
        }
        Ok(())
    }

    /// Writes the events that have waited longest one by one, and drops those that the store refuses.
    async fn write_singly(&self, group: Vec<UsageEvent>) -> Result<(), StoreError> {
        for event in group {
            let id = event.id.clone();
            match self.store.record_usage(vec![event]).await {
                Ok(()) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => {
                    self.dropped.inc();
                    tracing::error!(%id, %error, "a usage event is dropped: the store refuses it");
                }
            }
            self.waiting.lock().pop_front();
        }
        Ok(())
    }

    /// Writes what comes, until `closing` is cancelled.
    pub(crate) async fn run(&self, closing: CancellationToken) {
        while closing.run_until_cancelled(self.filled.notified()).await.is_some() {
            tokio::select! {
                () = closing.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
                () = self.full.notified() => {}
            }
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, waiting = self.waiting.lock().len(), "usage events wait for the store");
                tokio::time::sleep(PAUSE).await;
            }
            if !self.waiting.lock().is_empty() {
                self.filled.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::domain::Scopes;
    use crate::fixtures;
    use crate::store::{ProjectCtx, UsageQuery, usage_event};

    fn event(ctx: &ProjectCtx, n: usize) -> UsageEvent {
        usage_event(ctx, n as u64)
    }

    async fn log() -> (Arc<UsageLog>, ProjectCtx) {
        over(fixtures::memory()).await
    }

    async fn over(store: Arc<dyn Store>) -> (Arc<UsageLog>, ProjectCtx) {
        let now = Utc::now();
        let project = store.ensure_project("test", now).await.unwrap().id;
        let ctx = ProjectCtx {
            project,
            key: zumik_types::KeyId::with_suffix("1"),
            scopes: Scopes::INFERENCE_ONLY,
            trace: zumik_types::TraceId::with_suffix("1"),
            now,
        };
        (Arc::new(UsageLog::new(store, Counter::default())), ctx)
    }

    async fn stored(log: &UsageLog, ctx: &ProjectCtx) -> u64 {
        let all = UsageQuery::between(ctx.now - chrono::TimeDelta::days(1), ctx.now);
        log.store.usage(ctx, all).await.unwrap().summary.requests
    }

    #[tokio::test]
    async fn everything_recorded_before_a_flush_is_stored_by_it() {
        let (log, ctx) = log().await;
        (0..3 * GROUP + 7).for_each(|n| log.record(event(&ctx, n)));
        log.flush().await.unwrap();
        assert_eq!(stored(&log, &ctx).await, 3 * GROUP as u64 + 7);
        log.flush().await.unwrap();
        assert!(log.waiting.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_written_by_themselves_soon_after_they_come() {
        let (log, ctx) = log().await;
        let closing = CancellationToken::new();
        let running = tokio::spawn({
            let (log, closing) = (Arc::clone(&log), closing.clone());
            async move { log.run(closing).await }
        });
        for n in 0..3 {
            log.record(event(&ctx, n));
            while stored(&log, &ctx).await <= n as u64 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        closing.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn an_event_that_the_store_refuses_is_dropped_and_holds_up_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (log, ctx) = over(fixtures::sqlite(folder.path()).await).await;
        let last = GROUP + 5;
        for n in 0..last {
            let mut event = event(&ctx, n);
            if n == 3 {
                event.project_id = zumik_types::ProjectId::with_suffix("no id of this server");
            }
            log.record(event);
        }
        log.flush().await.unwrap();
        assert_eq!((stored(&log, &ctx).await, log.dropped.get()), (last as u64 - 1, 1));
        assert!(log.waiting.lock().is_empty());
    }

    #[tokio::test]
    async fn while_the_store_is_away_events_wait_and_then_are_counted_as_dropped() {
        let (log, ctx) = log().await;
        log.store.close().await;
        (0..MOST_WAITING + 3).for_each(|n| log.record(event(&ctx, n)));
        assert!(log.flush().await.is_err());
        assert_eq!((log.waiting.lock().len(), log.dropped.get()), (MOST_WAITING, 3));
    }
}
