//! Settings by environment variables.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::{LimitSettings, LogSettings, Settings, SettingsError, StoreUrl, UnnamedUpstream};

/// Variables; the function gives the value of one.
pub(super) struct Environment<F>(pub(super) F);

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    /// The database that holds everything.
    pub(super) fn store(&self) -> Option<StoreUrl> {
        self.0("ZUMIK_STORE").filter(|url| !url.is_empty()).map(StoreUrl::new)
    }

    /// A variable as a value; an empty one counts as not set.
    fn read<T: std::str::FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, SettingsError> {
        match self.0(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => match value.parse() {
                Ok(parsed) => Ok(Some(parsed)),
                Err(_) => Err(SettingsError::Variable { name, value, expected }),
            },
        }
    }
}

impl Settings {
    /// The settings of the environment; `variable` gives the value of one.
    ///
    /// # Errors
    /// A variable has a value of the wrong form.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let environment = Environment(variable);
        const ADDRESS: &str = "HOST:PORT, such as 127.0.0.1:8787";
        const COUNT: &str = "an integer of at least 1";
        Ok(Self {
            listen: environment.read("ZUMIK_LISTEN", ADDRESS)?,
            metrics: environment.read("ZUMIK_METRICS", ADDRESS)?,
            connections: environment.read("ZUMIK_CONNECTIONS", COUNT)?,
            store: environment.store(),
            store_connections: environment.read("ZUMIK_STORE_CONNECTIONS", COUNT)?,
            drain_seconds: environment.read("ZUMIK_DRAIN_SECONDS", "a number of seconds")?,
            placeholder_delay_ms: environment
                .read("ZUMIK_PLACEHOLDER_DELAY_MS", "a number of milliseconds")?,
            batch_lines: environment.read("ZUMIK_BATCH_LINES", COUNT)?,
            usage_days: environment.read("ZUMIK_USAGE_DAYS", COUNT)?,
            log: LogSettings {
                level: environment.read("ZUMIK_LOG", "a level")?,
                format: environment.read("ZUMIK_LOG_FORMAT", "'text' or 'json'")?,
            },
            limits: LimitSettings {
                requests_per_minute: environment.read("ZUMIK_REQUESTS_PER_MINUTE", COUNT)?,
                purge_jobs_per_minute: environment.read("ZUMIK_PURGE_JOBS_PER_MINUTE", COUNT)?,
                tokens_per_minute: environment.read("ZUMIK_TOKENS_PER_MINUTE", COUNT)?,
                concurrent_streams: environment.read("ZUMIK_CONCURRENT_STREAMS", COUNT)?,
            },
            upstream: UnnamedUpstream {
                url: environment.read("ZUMIK_UPSTREAM", "a URL")?,
                key_env: environment.read("ZUMIK_UPSTREAM_KEY_ENV", "the name of a variable")?,
                models: environment.read::<String>("ZUMIK_UPSTREAM_MODELS", "names of models")?.map(
                    |names| {
                        names
                            .split(',')
                            .map(|name| name.trim().to_owned())
                            .filter(|name| !name.is_empty())
                            .collect()
                    },
                ),
                region: environment.read("ZUMIK_UPSTREAM_REGION", "a region")?,
                cache_seconds: environment.read("ZUMIK_UPSTREAM_CACHE_SECONDS", "a number of seconds")?,
            },
            upstreams: IndexMap::new(),
            aliases: BTreeMap::new(),
        })
    }
}
