//! How much repeating a client may do at all, so that an outage is not multiplied by it.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one retry costs.
const RETRY: u32 = 10;
/// What one success gives back: in the long run, one retry for ten successes.
const SUCCESS: u32 = 1;
/// The most that is saved: 50 retries.
const FULL: u32 = 50 * RETRY;

/// A token bucket that all clones and variants of a client share.
///
/// It begins full. A retry takes [`RETRY`] tokens, a success puts [`SUCCESS`] back; without enough tokens the failure
/// is returned at once. A server that answers nothing but errors thus gets each request once, and not three times.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Budget {
    /// Takes the price of one retry; `false` when there is not enough.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| tokens.checked_sub(RETRY)).is_ok()
    }

    /// Puts back what a success gives.
    pub(crate) fn deposit(&self) {
        // A full bucket, the usual case, is only read: its cache line stays shared between cores.
        if self.0.load(Ordering::Relaxed) < FULL {
            let add = |tokens: u32| Some(tokens.saturating_add(SUCCESS).min(FULL));
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_retries_empty_it_and_ten_successes_pay_for_one_more() {
        let budget = Budget::default();
        assert_eq!((0..60).filter(|_| budget.withdraw()).count(), 50);
        (0..9).for_each(|_| budget.deposit());
        assert!(!budget.withdraw());
        budget.deposit();
        assert!(budget.withdraw());
        assert!(!budget.withdraw());
    }

    #[test]
    fn it_never_holds_more_than_it_began_with() {
        let budget = Budget::default();
        (0..1000).for_each(|_| budget.deposit());
        assert_eq!((0..60).filter(|_| budget.withdraw()).count(), 50);
    }
}
