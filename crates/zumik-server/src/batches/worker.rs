//! The worker: claims lines that are due, as many as may run at one time, and holds them until they are settled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::line::{self, Ended};
use super::{Bell, Runner};
use crate::clock::Clock;
use crate::mint::Mint;
use crate::running::Running;
use crate::store::{Advanced, BatchStore, LINE_LEASE, LineLease, StoreError};

/// How often the store is asked without a reason: another server of the same store may have left something.
pub(super) const LOOK: Duration = Duration::from_secs(30);

/// The pause after the store did not answer, the shortest wait for anything that is due, and the time from a claim to the
/// next one while there is room for a few lines only.
const BREATH: Duration = Duration::from_secs(1);

/// How often leases are renewed.
const RENEW: Duration = Duration::from_secs(LINE_LEASE.num_seconds().unsigned_abs() / 3);

/// What running a line needs.
pub(crate) struct Shop {
    /// Where batches are.
    pub(crate) store: Arc<dyn BatchStore>,
    /// What answers lines.
    pub(crate) runner: Arc<dyn Runner>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Trace ids, and the chance that spreads retries.
    pub(crate) mint: Arc<dyn Mint>,
    /// What a shutdown waits for: the lines that run.
    pub(crate) running: Running,
}

impl Shop {
    /// A number from 0 to 1.
    pub(super) fn chance(&self) -> f64 {
        let mut byte = [0];
        self.mint.fill(&mut byte);
        f64::from(byte[0]) / 255.0
    }
}

/// Runs lines of batches.
pub(crate) struct Worker {
    shop: Arc<Shop>,
    bell: Bell,
    /// Lines at one time.
    slots: usize,
    lines: JoinSet<Ended>,
    held: HashMap<Id, (LineLease, AbortHandle)>,
    /// Moves batches on, beside all else: putting the files of a large batch together takes longer than a lease lasts. One
    /// at a time.
    advancing: JoinSet<Result<Advanced, StoreError>>,
    renew_at: Instant,
    claimed_at: Instant,
    /// Whether a batch may be ready to be moved on.
    stirred: bool,
    /// Before this, no line is due that this worker knows of.
    idle_until: Option<DateTime<Utc>>,
}

impl Worker {
    /// A worker that runs so many lines at one time.
    pub(crate) fn new(shop: Shop, bell: Bell, slots: usize) -> Self {
        Self {
            shop: Arc::new(shop),
            bell,
            slots: slots.max(1),
            lines: JoinSet::new(),
            held: HashMap::new(),
            advancing: JoinSet::new(),
            renew_at: Instant::now() + RENEW,
            claimed_at: Instant::now(),
            stirred: true,
            idle_until: None,
        }
    }

    /// Works until `closing` is cancelled; claims nothing new once `draining` says so. Lines that still run then are
    /// broken off and given back.
    pub(crate) async fn run(mut self, closing: CancellationToken, draining: impl Fn() -> bool) {
        loop {
            let next = match self.step(draining()).await {
                Ok(wait) => (Instant::now() + wait).min(self.renew_at),
                Err(error) => {
                    tracing::warn!(%error, "batches wait for the store");
                    Instant::now() + BREATH
                }
            };
            tokio::select! {
                () = closing.cancelled() => break,
                Some(ended) = self.lines.join_next_with_id() => self.ended(ended),
                Some(advanced) = self.advancing.join_next() => self.advanced(advanced),
                () = self.bell.rung() => self.stir(),
                () = tokio::time::sleep_until(next) => self.stir(),
            }
        }
        self.release().await;
    }

    /// Something may have changed that this worker was not told of.
    fn stir(&mut self) {
        self.stirred = true;
        self.idle_until = None;
    }

    /// Holds on to what runs, has batches moved on and claims what there is room for. Gives how long nothing more is to be
    /// done, unless something happens.
    async fn step(&mut self, draining: bool) -> Result<Duration, StoreError> {
        // First: of a store that comes back after leases have ended, this worker would claim the lines that it runs.
        if self.renew_at <= Instant::now() {
            self.renew().await?;
        }
        if draining {
            return Ok(LOOK);
        }
        let now = self.shop.clock.now();
        self.advance(now);
        self.claim(now).await
    }

    /// Begins to move batches on, if there may be a reason and nobody is at it.
    fn advance(&mut self, now: DateTime<Utc>) {
        if !self.advancing.is_empty() || !std::mem::take(&mut self.stirred) {
            return;
        }
        let store = Arc::clone(&self.shop.store);
        self.advancing.spawn(async move {
            let advanced = store.advance_batches(now).await;
            if advanced.is_err() {
                tokio::time::sleep(BREATH).await;
            }
            advanced
        });
    }

    fn advanced(&mut self, advanced: Result<Result<Advanced, StoreError>, JoinError>) {
        match advanced {
            Ok(Ok(Advanced { started: 0, .. })) => {}
            Ok(Ok(_)) => self.idle_until = None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "batches wait for the store");
                self.stir();
            }
            Err(_) => tracing::error!("moving batches on panicked"),
        }
    }

    async fn claim(&mut self, now: DateTime<Utc>) -> Result<Duration, StoreError> {
        if let Some(until) = self.idle_until.filter(|until| now < *until) {
            return Ok(until_then(now, until));
        }
        let free = self.slots - self.lines.len();
        if free == 0 {
            return Ok(LOOK);
        }
        // A claim is a transaction: with room for a few lines only it may wait, but not for lines that take long.
        let few = !self.lines.is_empty() && free * 4 < self.slots;
        let pause = BREATH.saturating_sub(self.claimed_at.elapsed());
        if few && !pause.is_zero() {
            return Ok(pause);
        }
        self.claimed_at = Instant::now();
        let claimed = self.shop.store.claim_batch_lines(now, u32::try_from(free).unwrap_or(u32::MAX)).await?;
        let more = claimed.len() >= free;
        for line in claimed {
            let lease = line.lease.clone();
            let token = self.shop.running.token();
            let run = line::run(Arc::clone(&self.shop), line);
            let handle = self.lines.spawn(async move {
                let _running = token;
                run.await
            });
            self.held.insert(handle.id(), (lease, handle));
        }
        if more {
            return Ok(LOOK);
        }
        let next = self.shop.store.next_batch_work(now).await?;
        let until = next.unwrap_or(now + TimeDelta::seconds(30)).max(now + TimeDelta::seconds(1));
        self.idle_until = Some(until);
        Ok(until_then(now, until))
    }

    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, ended),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("running a line of a batch panicked");
                }
                (error.id(), Ended::Lost)
            }
        };
        self.held.remove(&id);
        match ended {
            Ended::Settled { last } => self.stirred |= last,
            Ended::Waits(at) => self.idle_until = self.idle_until.map(|until| until.min(at)),
            // It may be settled: the answer of the store was lost, or came too late.
            Ended::Lost => self.stir(),
        }
    }

    /// The leases of the lines that run.
    fn leases(&self) -> Vec<LineLease> {
        self.held.values().map(|(lease, _)| lease.clone()).collect()
    }

    /// Holds on to the lines that run. One that another server has taken over is broken off.
    async fn renew(&mut self) -> Result<(), StoreError> {
        let leases = self.leases();
        if !leases.is_empty() {
            let lost = self.shop.store.renew_batch_lines(leases, self.shop.clock.now()).await?;
            let running = self.held.values().filter(|(lease, _)| lost.contains(lease));
            running.for_each(|(_, run)| run.abort());
        }
        self.renew_at = Instant::now() + RENEW;
        Ok(())
    }

    /// Breaks off what still runs, and gives it back.
    async fn release(mut self) {
        self.lines.abort_all();
        // Those that settled before they could be broken off are not given back.
        while let Some(ended) = self.lines.join_next_with_id().await {
            if let Ok((id, _)) = ended {
                self.held.remove(&id);
            }
        }
        let leases = self.leases();
        if leases.is_empty() {
            return;
        }
        if let Err(error) = self.shop.store.release_batch_lines(leases).await {
            tracing::warn!(%error, "lines of batches wait for their leases to end");
        }
    }
}

/// The time from `now` to `then`, within bounds.
fn until_then(now: DateTime<Utc>, then: DateTime<Utc>) -> Duration {
    (then - now).to_std().unwrap_or_default().clamp(BREATH, LOOK)
}
