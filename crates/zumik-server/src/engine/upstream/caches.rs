//! How long providers may hold a prompt whose contents have been purged.

use std::time::Duration;

use super::{Upstreams, retry};
use crate::store::ProviderCache;

/// What may lie between reading the contents of a prompt and the first attempt, beside the attempts themselves, and what
/// clocks of servers on one database may differ by.
const MARGIN: Duration = Duration::from_secs(60);

impl Upstreams {
    /// The cache of each provider that keeps prompts, with the time after a purge in which it may hold what was purged.
    ///
    /// A request that read a content before its purge goes on: it may make all its attempts, each for as long as the
    /// slowest upstream allows, and any of them may be at this one. Only after the last does the cache begin to expire.
    pub(crate) fn caches(&self) -> Vec<ProviderCache> {
        let endpoints = || self.endpoints.iter().map(|(endpoint, _)| endpoint);
        let slowest = endpoints().map(|endpoint| endpoint.total).max().unwrap_or_default();
        let request = MARGIN.saturating_add(slowest.saturating_mul(retry::MOST));
        endpoints()
            .filter(|endpoint| !endpoint.cache.is_zero())
            .map(|endpoint| ProviderCache::new(&*endpoint.name, request.saturating_add(endpoint.cache)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use indexmap::IndexMap;

    use super::*;
    use crate::config::UpstreamSettings;

    fn caches(upstreams: &[(&str, Option<u64>, Option<u64>)]) -> Vec<ProviderCache> {
        let settings = upstreams.iter().map(|(name, total, cache)| {
            let mut settings = UpstreamSettings::new("http://host/v1");
            settings.total_seconds = total.and_then(NonZeroU64::new);
            settings.cache_seconds = *cache;
            ((*name).to_owned(), settings)
        });
        Upstreams::new(&settings.collect::<IndexMap<_, _>>(), &|_| None).unwrap().caches()
    }

    #[test]
    fn a_window_begins_when_the_slowest_request_has_made_its_last_attempt() {
        let hour = 3_600;
        let window = |name, seconds| ProviderCache::new(name, Duration::from_secs(seconds));
        assert_eq!(caches(&[("a", None, None)]), [window("a", 24 * hour + 4 * hour + 60)]);
        assert_eq!(caches(&[("a", Some(10), Some(hour))]), [window("a", hour + 4 * 10 + 60)]);
        assert_eq!(
            caches(&[("b", Some(10), Some(1)), ("a", Some(20), None), ("own", Some(30), Some(0))]),
            [window("b", 1 + 4 * 30 + 60), window("a", 24 * hour + 4 * 30 + 60)],
            "an attempt at one that keeps nothing may come first"
        );
        assert_eq!(caches(&[("own", None, Some(0))]), []);
        assert_eq!(caches(&[]), []);
    }
}
