//! Chance, keys and time of day that are the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::ambient::Ambient;

/// 2026-06-15T16:00:00Z, the time of day at which a fake begins.
const MORNING: Duration = Duration::from_secs(1_781_539_200);

/// A world without surprises: jitter from a seed, keys by number, a time of day that follows tokio's clock.
#[derive(Debug)]
pub(crate) struct Seeded {
    start: Instant,
    jitter: Mutex<fastrand::Rng>,
    keys: AtomicU64,
}

impl Seeded {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, jitter: Mutex::new(fastrand::Rng::with_seed(7)), keys: AtomicU64::new(0) }
    }
}

impl Ambient for Seeded {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + MORNING + self.start.elapsed()
    }

    fn jitter(&self) -> f64 {
        self.jitter.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }

    fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
