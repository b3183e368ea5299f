//! Settings: what a command line gives comes first, then the environment, then `zumik.toml` in the data folder.

mod environment;
mod listen;
mod store;
mod table;
mod unnamed;
mod upstream;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::{fs, io};

use indexmap::IndexMap;
use serde::Deserialize;
use thiserror::Error;

use environment::Environment;
pub use listen::{InvalidListenAddress, ListenAddress};
pub use store::StoreUrl;
pub use unnamed::UnnamedUpstream;
pub use upstream::{AliasSettings, Secret, TargetSettings, UpstreamError, UpstreamSettings};
pub(crate) use upstream::{MOST_TARGETS, check_aliases, check_name, is_name};

/// The file with settings in the data folder.
pub const FILE_NAME: &str = "zumik.toml";

/// What an operator may set. Everything is optional; [`Server::builder`](crate::Server::builder) has the defaults.
///
/// In `zumik.toml` the fields have these names, and unknown ones are refused:
///
/// ```toml
/// listen = "127.0.0.1:8787"
/// metrics = "127.0.0.1:9090"
/// connections = 4096
/// store = "postgres://zumik:…@db.example.com/zumik"
/// store_connections = 20
/// drain_seconds = 30
/// placeholder_delay_ms = 0
/// batch_lines = 8
/// usage_days = 400
///
/// [log]
/// level = "info"
/// format = "json"
///
/// [limits]
/// requests_per_minute = 6000
/// purge_jobs_per_minute = 10
/// tokens_per_minute = 1_000_000
/// concurrent_streams = 50
///
/// [upstreams.openai]
/// url = "https://api.openai.com/v1"
/// key_env = "OPENAI_API_KEY"
/// region = "us"
///
/// [aliases."code.fast"]
/// targets = [{ upstream = "openai", model = "gpt-4o" }]
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Settings {
    /// Address to listen on, `ZUMIK_LISTEN`; port 0 takes a free one.
    pub listen: Option<ListenAddress>,
    /// Address of the metrics listener, `ZUMIK_METRICS`; without one there is none.
    pub metrics: Option<ListenAddress>,
    /// Connections of clients at one time, `ZUMIK_CONNECTIONS`; 4,096 when nothing is said.
    pub connections: Option<NonZeroUsize>,
    /// A PostgreSQL database to keep everything in, `ZUMIK_STORE`, instead of the data folder. Other servers may use it
    /// at the same time.
    pub store: Option<StoreUrl>,
    /// Connections to that database at most, `ZUMIK_STORE_CONNECTIONS`; at least 2, 20 when nothing is said.
    pub store_connections: Option<NonZeroUsize>,
    /// How long a shutdown waits for running requests, in seconds, `ZUMIK_DRAIN_SECONDS`.
    pub drain_seconds: Option<u64>,
    /// How long the placeholder takes for an answer, in milliseconds, `ZUMIK_PLACEHOLDER_DELAY_MS`: for trying out
    /// deadlines, cancels and retries without a model.
    pub placeholder_delay_ms: Option<u64>,
    /// Lines of batches that run at a time, `ZUMIK_BATCH_LINES`; 8 when nothing is said.
    pub batch_lines: Option<NonZeroU32>,
    /// How long usage events are kept, in days, `ZUMIK_USAGE_DAYS`; 400 when nothing is said.
    pub usage_days: Option<NonZeroU32>,
    /// The log.
    pub log: LogSettings,
    /// The limits.
    pub limits: LimitSettings,
    /// One provider without a name of its own, as options and environment give it. [`complete`](Self::complete), or the
    /// server that takes the settings over, names it and puts it before the others.
    #[serde(skip)]
    pub upstream: UnnamedUpstream,
    /// The providers whose models answer, by name, in the order of the file: aliases that nobody configured mean a model of
    /// the first. Without any, generations are placeholders.
    #[serde(deserialize_with = "table::in_order")]
    pub upstreams: IndexMap<String, UpstreamSettings>,
    /// What aliases mean among them.
    pub aliases: BTreeMap<String, AliasSettings>,
}

/// What to log, and how. Whoever installs the log reads this; the server only writes to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LogSettings {
    /// A level or a filter, `ZUMIK_LOG`.
    pub level: Option<String>,
    /// `text` or `json`, `ZUMIK_LOG_FORMAT`.
    pub format: Option<LogFormat>,
}

/// The form of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text.
    Text,
    /// One JSON object.
    Json,
}

/// Rate limits. One that is not set is off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LimitSettings {
    /// Requests per minute of one API key, `ZUMIK_REQUESTS_PER_MINUTE`.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Purge jobs per minute of one project, `ZUMIK_PURGE_JOBS_PER_MINUTE`.
    pub purge_jobs_per_minute: Option<NonZeroU32>,
    /// Tokens per minute of one API key, those of prompts and answers together, `ZUMIK_TOKENS_PER_MINUTE`.
    pub tokens_per_minute: Option<NonZeroU32>,
    /// Streams of one API key at a time, `ZUMIK_CONCURRENT_STREAMS`.
    pub concurrent_streams: Option<NonZeroU32>,
}

/// Settings that cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// `zumik.toml` is there and cannot be opened.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `zumik.toml` is not TOML, or has a member that does not exist or has the wrong type.
    #[error("{}, line {line}, is not valid: {problem}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why; the line itself, which may hold a password, is not shown.
        problem: String,
    },
    /// The upstreams cannot be used.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// An environment variable has a value of the wrong form.
    #[error("{name}={value:?} is not valid: it must be {expected}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
}

impl Settings {
    /// What holds for a server on this data folder: these settings where they say something, then the environment, then
    /// `zumik.toml`.
    ///
    /// # Errors
    /// The environment or the file cannot be read.
    pub fn complete(self, data: &Path) -> Result<Self, SettingsError> {
        let mut settings =
            self.or(Self::from_environment(|name| std::env::var(name).ok())?).or(Self::from_folder(data)?);
        std::mem::take(&mut settings.upstream).lead(&mut settings.upstreams)?;
        Ok(settings)
    }

    /// The database that holds everything for a server on this data folder, by the environment, else by `zumik.toml`;
    /// nothing where the folder does. No other variable is looked at.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn store_of(data: &Path) -> Result<Option<StoreUrl>, SettingsError> {
        match Environment(|name: &str| std::env::var(name).ok()).store() {
            Some(store) => Ok(Some(store)),
            None => Ok(Self::from_folder(data)?.store),
        }
    }

    /// The settings of `zumik.toml` in a folder; none when there is no such file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn from_folder(data: &Path) -> Result<Self, SettingsError> {
        let path = data.join(FILE_NAME);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
                let line = 1 + before.matches('\n').count();
                SettingsError::Invalid { path, line, problem: error.message().to_owned() }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(SettingsError::Unreadable { path, source }),
        }
    }

    /// These, and what they leave open as `other` has it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut upstreams = self.upstreams;
        for (name, settings) in other.upstreams {
            upstreams.entry(name).or_insert(settings);
        }
        Self {
            listen: self.listen.or(other.listen),
            metrics: self.metrics.or(other.metrics),
            connections: self.connections.or(other.connections),
            store: self.store.or(other.store),
            store_connections: self.store_connections.or(other.store_connections),
            drain_seconds: self.drain_seconds.or(other.drain_seconds),
            placeholder_delay_ms: self.placeholder_delay_ms.or(other.placeholder_delay_ms),
            batch_lines: self.batch_lines.or(other.batch_lines),
            usage_days: self.usage_days.or(other.usage_days),
            log: LogSettings {
                level: self.log.level.or(other.log.level),
                format: self.log.format.or(other.log.format),
            },
            limits: self.limits.or(other.limits),
            upstream: self.upstream.or(other.upstream),
            upstreams,
            aliases: other.aliases.into_iter().chain(self.aliases).collect(),
        }
    }
}

impl LimitSettings {
    /// These, and what they leave open as `other` has it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(other.requests_per_minute),
            purge_jobs_per_minute: self.purge_jobs_per_minute.or(other.purge_jobs_per_minute),
            tokens_per_minute: self.tokens_per_minute.or(other.tokens_per_minute),
            concurrent_streams: self.concurrent_streams.or(other.concurrent_streams),
        }
    }
}

impl std::str::FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = "connections = 2\nlisten = '127.0.0.1:1'\nmetrics = '127.0.0.1:2'\ndrain_seconds = 3\n[limits]\nrequests_per_minute = 4";
        fs::write(folder.path().join(FILE_NAME), file).unwrap();
        let environment = |name: &str| match name {
            "ZUMIK_LISTEN" => Some("127.0.0.1:10".to_owned()),
            "ZUMIK_METRICS" => Some("127.0.0.1:20".to_owned()),
            "ZUMIK_CONNECTIONS" => Some("30".to_owned()),
            "ZUMIK_LOG" => Some(String::new()),
            _ => None,
        };
        let flags = Settings { listen: "127.0.0.1:100".parse().ok(), ..Settings::default() };
        let settings = flags
            .or(Settings::from_environment(environment).unwrap())
            .or(Settings::from_folder(folder.path()).unwrap());
        assert_eq!(settings.listen, "127.0.0.1:100".parse().ok());
        assert_eq!(settings.metrics, "127.0.0.1:20".parse().ok());
        assert_eq!(settings.connections, NonZeroUsize::new(30));
        assert_eq!((settings.drain_seconds, settings.log.level), (Some(3), None));
        assert_eq!(settings.limits.requests_per_minute, NonZeroU32::new(4));
    }

    #[test]
    fn providers_keep_the_order_of_the_file_behind_the_one_without_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("[upstreams.{name}]\nurl = 'http://{name}/v1'\n");
        let file = [url("openai"), url("local"), url("backup")].concat();
        fs::write(folder.path().join(FILE_NAME), file).unwrap();
        let environment = |name: &str| (name == "ZUMIK_UPSTREAM").then(|| "http://host/v1".to_owned());
        let settings = Settings::from_environment(environment).unwrap();
        let mut settings = settings.or(Settings::from_folder(folder.path()).unwrap());
        settings.upstream.lead(&mut settings.upstreams).unwrap();
        let names: Vec<_> = settings.upstreams.keys().collect();
        assert_eq!(names, ["upstream", "openai", "local", "backup"]);
    }

    #[test]
    fn a_host_may_be_named_in_the_environment_and_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), "listen = 'localhost:8787'").unwrap();
        let named = "localhost:8787".parse().ok();
        assert_eq!(Settings::from_folder(folder.path()).unwrap().listen, named);
        let settings =
            Settings::from_environment(|name| (name == "ZUMIK_METRICS").then(|| "localhost:8787".to_owned()));
        assert_eq!(settings.unwrap().metrics, named);
    }

    #[test]
    fn a_folder_without_the_file_sets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Settings::from_folder(folder.path()).unwrap(), Settings::default());
    }

    #[test]
    fn a_store_with_a_password_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let url = "postgres://zumik:canary@localhost/zumik";
        fs::write(folder.path().join(FILE_NAME), format!("store = '{url}'")).unwrap();
        let settings = Settings::from_folder(folder.path()).unwrap();
        assert!(!format!("{settings:?}").contains("canary"));
        assert_eq!(
            settings.store.unwrap().address().unwrap().to_string(),
            "postgres://zumik@localhost:5432/zumik"
        );
        for file in [
            format!("store = ['{url}']"),
            format!("store = '{url}'\nstore = '{url}'"),
            format!("store = {url}"),
        ] {
            fs::write(folder.path().join(FILE_NAME), file).unwrap();
            let error = Settings::from_folder(folder.path()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
        let settings =
            Settings::from_environment(|name| (name == "ZUMIK_STORE").then(|| "canary".to_owned()));
        let error = settings.unwrap().store.unwrap().address().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["listen = 7", "lisen = '127.0.0.1:1'", "[limits]\nrequests_per_minute = 0", "x"] {
            fs::write(folder.path().join(FILE_NAME), file).unwrap();
            let error = Settings::from_folder(folder.path()).unwrap_err().to_string();
            assert!(error.contains(FILE_NAME), "{error}");
        }
        for (file, form) in [
            ("[aliases]\nauto = 'gpt-4o'", "{ targets = [{ upstream ="),
            ("[aliases.auto]\ntargets = ['gpt-4o']", "{ upstream = \"a\", model = \"b\", weight = 100 }"),
            ("[upstreams]\nlocal = 'http://host/v1'", "{ url = \"http://host/v1\" }"),
        ] {
            fs::write(folder.path().join(FILE_NAME), file).unwrap();
            let error = Settings::from_folder(folder.path()).unwrap_err().to_string();
            assert!(error.contains(form) && error.contains("line 2"), "{file}: {error}");
        }
        let error = Settings::from_environment(|name| (name == "ZUMIK_LISTEN").then(|| "here".to_owned()));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("ZUMIK_LISTEN=\"here\""), "{error}");
    }
}
