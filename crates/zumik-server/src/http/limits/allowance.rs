//! Tokens per minute of a key, which are known only after they were spent.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use zumik_types::KeyId;

/// An allowance that fills up evenly over a minute, up to its size, and may be overdrawn.
pub(super) struct TokensPerMinute {
    size: f64,
    left: Mutex<HashMap<KeyId, Left>>,
}

/// What a key had left at a moment.
#[derive(Clone, Copy)]
struct Left {
    tokens: f64,
    at: Instant,
}

impl TokensPerMinute {
    pub(super) fn new(most: NonZeroU32) -> Self {
        Self { size: f64::from(most.get()), left: Mutex::default() }
    }

    /// Whether a key has something left.
    ///
    /// # Errors
    /// How long it takes until it has.
    pub(super) fn check(&self, key: &KeyId, now: Instant) -> Result<(), Duration> {
        let Some(left) = self.left.lock().get(key).copied() else { return Ok(()) };
        let tokens = self.filled(left, now);
        if tokens >= 1.0 {
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - tokens) / self.per_second()))
    }

    /// Takes what a key spent.
    pub(super) fn spend(&self, key: &KeyId, tokens: u64, now: Instant) {
        let mut all = self.left.lock();
        let left = all.entry(key.clone()).or_insert(Left { tokens: self.size, at: now });
        // Beyond an hour's worth the debt does not grow: a single answer must not lock a key out for days.
        let after = (self.filled(*left, now) - tokens as f64).max(-60.0 * self.size);
        *left = Left { tokens: after, at: now };
    }

    /// Forgets who has all of the allowance again.
    pub(super) fn sweep(&self, now: Instant) {
        self.left.lock().retain(|_, left| self.filled(*left, now) < self.size);
    }

    fn filled(&self, left: Left, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(left.at).as_secs_f64();
        (left.tokens + passed * self.per_second()).min(self.size)
    }

    fn per_second(&self) -> f64 {
        self.size / 60.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overdrawn_allowance_fills_up_again() {
        let limit = TokensPerMinute::new(NonZeroU32::new(600).unwrap());
        let (key, other) = (KeyId::with_suffix("1"), KeyId::with_suffix("2"));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(limit.check(&key, start), Ok(()));
        limit.spend(&key, 599, start);
        assert_eq!(limit.check(&key, start), Ok(()), "one is left");
        limit.spend(&key, 301, start);
        let wait = limit.check(&key, start).unwrap_err();
        assert!((30.0..30.2).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(limit.check(&key, after(30)).is_err());
        assert_eq!(limit.check(&key, after(31)), Ok(()));
        assert_eq!(limit.check(&other, start), Ok(()));
        limit.sweep(after(31));
        assert_eq!(limit.left.lock().len(), 1);
        limit.sweep(after(91));
        assert_eq!(limit.left.lock().len(), 0);
    }

    #[test]
    fn a_debt_is_an_hour_at_most() {
        let limit = TokensPerMinute::new(NonZeroU32::MIN);
        let (key, now) = (KeyId::with_suffix("1"), Instant::now());
        limit.spend(&key, u64::MAX, now);
        assert!(limit.check(&key, now).unwrap_err() <= Duration::from_secs(3_700));
    }
}
