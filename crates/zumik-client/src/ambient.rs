//! What a call takes from the world around it: wall clock, chance, fresh keys.
//!
//! The pipeline has these as a parameter, so that tests can fix them. Monotonic time and sleeping are tokio's, whose
//! clock tests can pause.

use std::time::SystemTime;

/// A source of wall-clock time, jitter and idempotency keys.
pub(crate) trait Ambient: Send + Sync {
    /// The time of day; only to read a `Retry-After` that is a date.
    fn now(&self) -> SystemTime;

    /// A number from 0 (included) to 1 (excluded), evenly distributed.
    fn jitter(&self) -> f64;

    /// A new idempotency key: 128 random bits.
    fn key(&self) -> String;
}

/// The real world.
#[derive(Debug)]
pub(crate) struct World;

impl Ambient for World {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn jitter(&self) -> f64 {
        fastrand::f64()
    }

    fn key(&self) -> String {
        let mut bytes = [0; 16];
        // Without randomness of the system, the seed that the process was started with still tells keys apart.
        if getrandom::fill(&mut bytes).is_err() {
            fastrand::fill(&mut bytes);
        }
        // Not by a formatter: every POST of the client comes here.
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let mut key = String::with_capacity(2 * bytes.len());
        key.extend(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        key
    }
}
