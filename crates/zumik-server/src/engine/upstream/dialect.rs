//! Whether an upstream speaks OpenAI's Responses API. Many that are compatible with OpenAI speak chat completions only.

use std::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const SPEAKS: u8 = 1;
const SPEAKS_NOT: u8 = 2;

/// What is known of it: from the settings, or from the first call. It is asked again after a restart.
#[derive(Debug)]
pub(crate) struct Dialect(AtomicU8);

impl Dialect {
    /// What the settings say.
    pub(crate) fn new(set: Option<bool>) -> Self {
        Self(AtomicU8::new(set.map_or(UNKNOWN, code)))
    }

    /// Whether it speaks it; nothing when nobody has tried yet.
    pub(crate) fn speaks(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            SPEAKS => Some(true),
            SPEAKS_NOT => Some(false),
            _ => None,
        }
    }

    /// A call has shown it. What was known before stays.
    pub(crate) fn learn(&self, speaks: bool) {
        let _ = self.0.compare_exchange(UNKNOWN, code(speaks), Ordering::Relaxed, Ordering::Relaxed);
    }
}

const fn code(speaks: bool) -> u8 {
    if speaks { SPEAKS } else { SPEAKS_NOT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_not_overruled_and_what_is_found_out_stays() {
        let dialect = Dialect::new(None);
        assert_eq!(dialect.speaks(), None);
        dialect.learn(false);
        dialect.learn(true);
        assert_eq!(dialect.speaks(), Some(false));
        let set = Dialect::new(Some(true));
        set.learn(false);
        assert_eq!(set.speaks(), Some(true));
    }
}
