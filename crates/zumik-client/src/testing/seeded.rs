//! Chance, keys and time of day that are the same in every run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::ambient::Ambient;

/// 2026-06-15T16:00:00Z, the time of day at which a fake begins.
const MORNING: Duration = Duration::from_secs(1_781_539_200);

/// A world without surprises: jitter from a fixed row (0.5, 0.25, 0.75, 0.125, …), keys by number, a time of day that
/// follows tokio's clock.
#[derive(Debug)]
pub(crate) struct Seeded {
    start: Instant,
    jitter: AtomicU64,
    keys: AtomicU64,
}

impl Seeded {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, jitter: AtomicU64::new(0), keys: AtomicU64::new(0) }
    }
}

impl Ambient for Seeded {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + MORNING + self.start.elapsed()
    }

    fn jitter(&self) -> f64 {
        let number = self.jitter.fetch_add(1, Ordering::Relaxed) + 1;
        // The bits of the number behind the point, in reverse: van der Corput's evenly spread row.
        number.reverse_bits() as f64 / 2_f64.powi(64)
    }

    fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
