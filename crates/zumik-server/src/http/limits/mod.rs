//! Rate limits, off until the operator sets them.

mod allowance;
mod streams;

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use zumik_types::{KeyId, ProjectId};

use super::ApiError;
use crate::config::LimitSettings;
use allowance::TokensPerMinute;
pub(crate) use streams::OpenStream;
use streams::Streams;

type PerMinute<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

/// The limits in force: requests, tokens and streams of one key, purge jobs of one project.
#[derive(Default)]
pub(crate) struct Limits {
    requests: Option<PerMinute<KeyId>>,
    tokens: Option<TokensPerMinute>,
    streams: Option<Streams>,
    purge_jobs: Option<PerMinute<ProjectId>>,
}

impl Limits {
    /// What the settings ask for.
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        Self {
            requests: settings.requests_per_minute.map(per_minute),
            tokens: settings.tokens_per_minute.map(TokensPerMinute::new),
            streams: settings.concurrent_streams.map(Streams::new),
            purge_jobs: settings.purge_jobs_per_minute.map(per_minute),
        }
    }

    /// Counts one request of a key.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub(crate) fn request(&self, key: &KeyId) -> Result<(), ApiError> {
        check(self.requests.as_ref(), key, "this API key")
    }

    /// Counts one purge job of a project.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub(crate) fn purge_job(&self, project: &ProjectId) -> Result<(), ApiError> {
        check(self.purge_jobs.as_ref(), project, "the purge jobs of this project")
    }

    /// Whether a key may begin a generation: it has not spent the tokens of its minute. What a generation takes is known
    /// after it only, so a key can go over its limit once, and waits for longer then.
    ///
    /// # Errors
    /// 429 with the seconds to wait.
    pub(crate) fn generation(&self, key: &KeyId) -> Result<(), ApiError> {
        let Some(tokens) = &self.tokens else { return Ok(()) };
        tokens
            .check(key, Instant::now())
            .map_err(|wait| ApiError::rate_limited("the tokens of this API key", seconds(wait)).unasked())
    }

    /// Counts the tokens that a generation of a key took.
    pub(crate) fn spend(&self, key: &KeyId, tokens: u64) {
        if let Some(limit) = &self.tokens {
            limit.spend(key, tokens, Instant::now());
        }
    }

    /// Counts one more stream of a key, until what is given is dropped.
    ///
    /// # Errors
    /// 429: the key has as many streams as it may.
    pub(crate) fn stream(&self, key: &KeyId) -> Result<Option<OpenStream>, ApiError> {
        let Some(streams) = &self.streams else { return Ok(None) };
        streams
            .open(key)
            .map(Some)
            .ok_or_else(|| ApiError::rate_limited("the concurrent streams of this API key", 1))
    }

    /// Forgets who has been quiet for long enough to be as good as new.
    pub(crate) fn sweep(&self) {
        if let Some(requests) = &self.requests {
            requests.retain_recent();
        }
        if let Some(purge_jobs) = &self.purge_jobs {
            purge_jobs.retain_recent();
        }
        if let Some(tokens) = &self.tokens {
            tokens.sweep(Instant::now());
        }
    }
}

fn per_minute<K: Hash + Eq + Clone>(most: NonZeroU32) -> PerMinute<K> {
    RateLimiter::hashmap(Quota::per_minute(most))
}

fn check<K: Hash + Eq + Clone>(limit: Option<&PerMinute<K>>, key: &K, of: &str) -> Result<(), ApiError> {
    let Some(limit) = limit else { return Ok(()) };
    limit.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(limit.clock().now());
        ApiError::rate_limited(of, seconds(wait))
    })
}

/// Whole seconds, rounded up and at least one: a client that waits so long is let in.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_allowance() {
        let limits = Limits::new(&LimitSettings {
            requests_per_minute: NonZeroU32::new(2),
            ..LimitSettings::default()
        });
        let (one, two) = (KeyId::with_suffix("1"), KeyId::with_suffix("2"));
        assert!(limits.request(&one).is_ok());
        assert!(limits.request(&one).is_ok());
        let refused = limits.request(&one).unwrap_err();
        assert_eq!(refused.message(), "Rate limit reached for this API key. Retry after 30 seconds.");
        assert!(limits.request(&two).is_ok());
        assert!(limits.purge_job(&ProjectId::with_suffix("1")).is_ok());
    }

    #[test]
    fn who_has_spent_his_tokens_is_told_how_long_to_wait_before_any_model_is_asked() {
        let limits = Limits::new(&LimitSettings {
            tokens_per_minute: NonZeroU32::new(60),
            ..LimitSettings::default()
        });
        let key = KeyId::with_suffix("1");
        assert!(limits.generation(&key).is_ok());
        limits.spend(&key, 100);
        let refused = limits.generation(&key).unwrap_err();
        assert!(refused.is_unasked() && refused.retry_after() > Some(30), "{refused:?}");
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_millis(1_001)), 2);
        assert_eq!(seconds(Duration::from_secs(2)), 2);
    }
}
