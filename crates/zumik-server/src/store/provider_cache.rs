//! Caches of providers, as purges know them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use zumik_types::{Extra, Guarantee, ProcessorStatus, PurgeProcessor};

/// The cache of a provider that prompts are sent to. Nobody can tell it to forget, so every purge names it as a processor
/// that is done when what it may hold has expired (contract `v2.md`, "Purge", step 7).
///
/// Which prompts went to which provider is kept nowhere: a purge names all caches that its store was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderCache {
    provider: String,
    /// In seconds.
    window: u32,
}

impl ProviderCache {
    /// The cache of a provider in which nothing is left when so much time has passed since a purge: whole seconds, rounded
    /// up, and 136 years at most.
    pub fn new(provider: impl Into<String>, window: Duration) -> Self {
        let seconds = window.as_secs().saturating_add(u64::from(window.subsec_nanos() > 0));
        Self { provider: provider.into(), window: u32::try_from(seconds).unwrap_or(u32::MAX) }
    }

    /// The name of the provider.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// What is to be said of it in the receipt of a purge that was completed at this time.
    pub(super) fn processor(&self, completed_at: DateTime<Utc>) -> PurgeProcessor {
        PurgeProcessor {
            processor: self.provider.clone(),
            action: "await_cache_expiry".to_owned(),
            status: ProcessorStatus::PendingExpiry,
            guarantee: Guarantee::ExpiryBound,
            completed_at: None,
            expires_at: completed_at.checked_add_signed(TimeDelta::seconds(self.window.into())),
            extra: Extra::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_whole_seconds_that_are_never_too_few() {
        let purged: DateTime<Utc> = "2026-06-15T16:21:51Z".parse().unwrap();
        let end = |window| ProviderCache::new("openai", window).processor(purged).expires_at;
        assert_eq!(end(Duration::from_secs(86_400)), "2026-06-16T16:21:51Z".parse().ok());
        assert_eq!(end(Duration::from_millis(1)), "2026-06-15T16:21:52Z".parse().ok());
        assert!(end(Duration::MAX) > end(Duration::from_secs(100 * 366 * 86_400)));
    }
}
