//! New ids and random bytes, as an argument: tests can fix both.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use ulid::Ulid;

/// Where new ids and random bytes come from.
pub trait Mint: Send + Sync + 'static {
    /// A ULID for `now`, greater than every earlier one of this source.
    fn ulid(&self, now: DateTime<Utc>) -> Ulid;

    /// Fills `bytes` with random ones that nobody can foretell.
    fn fill(&self, bytes: &mut [u8]);

    /// The part of an id behind its prefix: a lower-case ULID.
    fn suffix(&self, now: DateTime<Utc>) -> String {
        self.ulid(now).to_string().to_ascii_lowercase()
    }

    /// The part of a file id behind its prefix: 24 lower-case hex digits.
    fn file_suffix(&self) -> String {
        let mut bytes = [0; 12];
        self.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Random ids and bytes from the operating system's seed.
#[derive(Debug, Default)]
pub struct RandomMint {
    last: Mutex<u128>,
}

impl Mint for RandomMint {
    fn ulid(&self, now: DateTime<Utc>) -> Ulid {
        let mut random = [0; 16];
        self.fill(&mut random);
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let fresh = Ulid::from_parts(millis, u128::from_le_bytes(random));
        let mut last = self.last.lock();
        // Within a millisecond, or when the clock goes back, ids still rise: the last one and a random
        // step, so that a neighbour cannot be guessed.
        let step = u128::from(u32::from_le_bytes([random[0], random[1], random[2], random[3]])) + 1;
        *last = u128::from(fresh).max(last.saturating_add(step));
        Ulid::from(*last)
    }

    fn fill(&self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), bytes);
    }
}

/// Ids and bytes that count up from a seed: the same every time. For tests only.
#[derive(Debug, Default)]
pub struct CountingMint {
    ids: AtomicU64,
    bytes: AtomicU64,
}

impl Mint for CountingMint {
    fn ulid(&self, now: DateTime<Utc>) -> Ulid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Ulid::from_parts(millis, u128::from(self.ids.fetch_add(1, Ordering::Relaxed)))
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.bytes.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_within_a_millisecond_and_when_the_clock_goes_back() {
        let mint = RandomMint::default();
        let now = Utc::now();
        let mut last = mint.ulid(now);
        for step in 0..1000 {
            let next = mint.ulid(now - chrono::TimeDelta::milliseconds(step % 3));
            assert!(next > last);
            last = next;
        }
    }

    #[test]
    fn file_suffixes_are_24_hex_digits() {
        let suffix = RandomMint::default().file_suffix();
        assert_eq!(suffix.len(), 24);
        assert!(suffix.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()));
    }
}
