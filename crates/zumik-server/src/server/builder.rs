//! Putting a server together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::first_key::{first_key, is_key, register};
use super::keep::{Keep, Opening};
use super::listener::Listener;
use super::metrics::Guard;
use super::{RunningServer, Server, StartError, Upkeep};
use crate::app::{App, Inference};
use crate::clock::{Clock, SystemClock};
use crate::config::{
    AliasSettings, LimitSettings, ListenAddress, Settings, StoreUrl, UnnamedUpstream, UpstreamError,
    UpstreamSettings, check_aliases,
};
use crate::engine::{Models, Placeholder, Upstreams};
use crate::mint::{Mint, RandomMint};
use crate::seal::MasterKey;
use crate::store::postgres::{self, Address, AddressError};
use crate::store::{ProviderCache, Store};

/// The project that a fresh server has.
const DEFAULT_PROJECT: &str = "default";

/// Connections of clients at one time when nothing is said.
const CONNECTIONS: usize = 4_096;

/// Connections of whoever reads the metrics.
const METRICS_CONNECTIONS: usize = 64;

/// What a server is put together with. Without any setting it is one for tests: in memory, on a free loopback port.
#[must_use]
pub struct Builder {
    keep: Keep,
    database: Option<Result<Address, AddressError>>,
    store_connections: Option<NonZeroUsize>,
    listen: ListenAddress,
    connections: usize,
    metrics: Option<ListenAddress>,
    guard: Guard,
    api_key: Option<String>,
    master_key: Option<MasterKey>,
    clock: Arc<dyn Clock>,
    mint: Arc<dyn Mint>,
    limits: LimitSettings,
    drain: Duration,
    placeholder_delay: Duration,
    upkeep: Upkeep,
    /// Of settings that were not completed.
    upstream: UnnamedUpstream,
    upstreams: IndexMap<String, UpstreamSettings>,
    aliases: BTreeMap<String, AliasSettings>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            keep: Keep::Memory,
            database: None,
            store_connections: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
            connections: CONNECTIONS,
            metrics: None,
            guard: Guard::default(),
            api_key: None,
            master_key: None,
            clock: Arc::new(SystemClock),
            mint: Arc::new(RandomMint::default()),
            limits: LimitSettings::default(),
            drain: Duration::from_secs(30),
            placeholder_delay: Duration::ZERO,
            upkeep: Upkeep { batch_lines: 8, usage_days: 400 },
            upstream: UnnamedUpstream::default(),
            upstreams: IndexMap::new(),
            aliases: BTreeMap::new(),
        }
    }
}

impl Builder {
    /// Keeps everything in this folder, durably. It is made when it does not exist; one server uses it at a time.
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keep = Keep::Folder(folder.into());
        self
    }

    /// Keeps everything in this PostgreSQL database, which other servers may use at the same time. The data folder then
    /// holds no more than the master key, or nothing if one is given.
    pub fn database(mut self, address: Address) -> Self {
        self.database = Some(Ok(address));
        self
    }

    /// Keeps everything in this store, which a shutdown closes. It must have been told of the
    /// [`provider_caches`](Self::provider_caches).
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.keep = Keep::Store(store);
        self
    }

    /// Listens on this address; port 0, the default, takes a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address.into();
        self
    }

    /// Connections of clients at one time; 4,096 when nothing is said. Further ones wait until one of them ends.
    pub fn connections(mut self, most: NonZeroUsize) -> Self {
        self.connections = most.get();
        self
    }

    /// Serves Prometheus metrics at `/metrics` of this address, on a listener of their own.
    pub fn metrics(mut self, address: SocketAddr) -> Self {
        self.metrics = Some(address.into());
        self
    }

    /// Shows the metrics only to requests with this bearer token.
    pub fn metrics_token(mut self, token: &str) -> Self {
        self.guard = Guard::token(token);
        self
    }

    /// Accepts this API key for the default project; it is registered when the store does not know it. One that was
    /// revoked is refused.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Seals contents with this master key instead of the one in the data folder.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    /// Takes the time from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes ids and random bytes from this mint.
    pub fn mint(mut self, mint: Arc<dyn Mint>) -> Self {
        self.mint = mint;
        self
    }

    /// Limits rates; without this nothing is limited.
    pub fn limits(mut self, limits: LimitSettings) -> Self {
        self.limits = limits;
        self
    }

    /// How long a shutdown waits for what runs; 30 seconds when nothing is said.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// How long the placeholder takes for an answer: for trying out deadlines, cancels and retries without a model.
    pub fn placeholder_delay(mut self, delay: Duration) -> Self {
        self.placeholder_delay = delay;
        self
    }

    /// Answers generations by the models of this upstream instead of placeholders. Several go by their names; the first one
    /// has the model of aliases that are not configured.
    pub fn upstream(mut self, name: impl Into<String>, settings: UpstreamSettings) -> Self {
        self.upstreams.insert(name.into(), settings);
        self
    }

    /// Lets an alias mean these targets.
    pub fn alias(mut self, alias: impl Into<String>, settings: AliasSettings) -> Self {
        self.aliases.insert(alias.into(), settings);
        self
    }

    /// The caches of the upstreams so far that keep prompts. Stores that the server opens are told of them; one that is
    /// given as [`store`](Self::store) is opened with them, because its receipts of purges name them.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use zumik_server::config::UpstreamSettings;
    /// use zumik_server::store::sqlite::{Options, SqliteStore};
    ///
    /// # async fn example(folder: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = zumik_server::Server::builder()
    ///     .upstream("local", UpstreamSettings::new("http://127.0.0.1:8000/v1"));
    /// let options = Options::new(folder).provider_caches(builder.provider_caches()?);
    /// let server = builder.store(Arc::new(SqliteStore::open(options).await?)).start().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The upstreams cannot be used.
    pub fn provider_caches(&self) -> Result<Vec<ProviderCache>, UpstreamError> {
        let mut upstreams = self.upstreams.clone();
        self.upstream.clone().lead(&mut upstreams)?;
        Ok(self::upstreams(&upstreams)?.caches())
    }

    /// How many lines of batches run at a time; 8 when nothing is said.
    pub fn batch_lines(mut self, lines: NonZeroU32) -> Self {
        self.upkeep.batch_lines = lines.get();
        self
    }

    /// How many days usage events are kept; 400 when nothing is said.
    pub fn usage_days(mut self, days: NonZeroU32) -> Self {
        self.upkeep.usage_days = days.get();
        self
    }

    /// Takes over what the settings say; what they leave open stays as it is.
    pub fn settings(mut self, settings: &Settings) -> Self {
        self.database = settings.store.as_ref().map(StoreUrl::address).or(self.database);
        self.store_connections = settings.store_connections.or(self.store_connections);
        self.listen = settings.listen.clone().unwrap_or(self.listen);
        self.connections = settings.connections.map_or(self.connections, NonZeroUsize::get);
        self.metrics = settings.metrics.clone().or(self.metrics);
        self.limits = settings.limits.clone().or(self.limits);
        self.drain = settings.drain_seconds.map_or(self.drain, Duration::from_secs);
        self.placeholder_delay =
            settings.placeholder_delay_ms.map_or(self.placeholder_delay, Duration::from_millis);
        self.upkeep.batch_lines = settings.batch_lines.map_or(self.upkeep.batch_lines, NonZeroU32::get);
        self.upkeep.usage_days = settings.usage_days.map_or(self.upkeep.usage_days, NonZeroU32::get);
        self.upstream = settings.upstream.clone().or(self.upstream);
        self.upstreams.extend(settings.upstreams.clone());
        self.aliases.extend(settings.aliases.clone());
        self
    }

    /// Opens the store and makes the server, without a socket.
    ///
    /// # Errors
    /// The store cannot be opened, the API key cannot be registered, or the upstreams cannot be used.
    pub async fn build(mut self) -> Result<Server, StartError> {
        std::mem::take(&mut self.upstream).lead(&mut self.upstreams)?;
        if self.api_key.as_deref().is_some_and(|key| !is_key(key)) {
            return Err(StartError::ApiKey);
        }
        let inference = self.inference()?;
        let opening = Opening {
            master_key: self.master_key,
            clock: Arc::clone(&self.clock),
            mint: Arc::clone(&self.mint),
            caches: inference.upstreams.caches(),
        };
        let store = match self.database {
            None => self.keep.open(opening).await?,
            Some(address) => {
                let mut options = postgres::Options::new(address?);
                match self.store_connections.map(NonZeroUsize::get) {
                    Some(1) => return Err(StartError::StoreConnections),
                    Some(most) => options = options.connections(most),
                    None => {}
                }
                self.keep.open_database(options, opening).await?
            }
        };
        let now = self.clock.now();
        let project = store.ensure_project(DEFAULT_PROJECT, now).await?.id;
        let api_key = match self.api_key {
            Some(key) => key,
            None => first_key(&*store, &project, &*self.mint).await?,
        };
        if !api_key.is_empty() {
            register(&*store, &project, &api_key, now).await?;
        }
        let interrupted = store.fail_open_responses().await?;
        if interrupted > 0 {
            tracing::info!(interrupted, "responses that were being worked on at the last stop have failed");
        }
        let app = App::new(store, inference, self.clock, self.mint, &self.limits)
            .map_err(|error| StartError::Routes(Box::new(error)))?;
        Ok(Server { app: Arc::new(app), project, api_key, drain: self.drain, upkeep: self.upkeep })
    }

    fn inference(&self) -> Result<Inference, UpstreamError> {
        check_aliases(&self.aliases, &self.upstreams)?;
        Ok(Inference {
            local: Arc::new(Placeholder::with_delay(self.placeholder_delay)),
            upstreams: upstreams(&self.upstreams)?,
            models: Models::new(self.aliases.clone()),
        })
    }

    /// Makes the server and opens its sockets.
    ///
    /// # Errors
    /// As [`build`](Self::build), and when an address cannot be listened on.
    pub async fn start(mut self) -> Result<RunningServer, StartError> {
        // Before the store, so that a port that is taken leaves nothing behind.
        let api = bind(self.listen.clone(), self.connections).await?;
        let metrics = match self.metrics.take() {
            Some(address) => Some(bind(address, METRICS_CONNECTIONS).await?),
            None => None,
        };
        let guard = self.guard.clone();
        let server = self.build().await?;
        Ok(RunningServer::start(server, api, metrics.map(|listener| (listener, guard))))
    }
}

fn upstreams(settings: &IndexMap<String, UpstreamSettings>) -> Result<Upstreams, UpstreamError> {
    Upstreams::new(settings, &|name| std::env::var(name).ok())
}

async fn bind(address: ListenAddress, most: usize) -> Result<Listener, StartError> {
    let bound = async { Listener::bind(address.resolve().await?, most).await };
    bound.await.map_err(|source| StartError::Listen { address, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn a_report_is_not_given_the_only_connection() {
        let settings = Settings {
            store: Some(StoreUrl::new("postgres://nobody@127.0.0.1:1/none")),
            store_connections: NonZeroUsize::new(1),
            ..Settings::default()
        };
        let error = Server::builder().settings(&settings).build().await.unwrap_err();
        assert!(matches!(error, StartError::StoreConnections), "{error:?}");
    }

    #[tokio::test]
    async fn a_store_that_was_not_told_of_an_upstream_is_refused() {
        let over = |caches: Vec<ProviderCache>, settings: &UpstreamSettings| {
            let store = MemoryStore::new(Arc::new(SystemClock), Arc::new(RandomMint::default()));
            let store = Arc::new(store.with_provider_caches(caches));
            Server::builder().store(store).upstream("test", settings.clone())
        };
        let mut settings = UpstreamSettings::new("http://127.0.0.1:9/v1");
        let told = over(Vec::new(), &settings).provider_caches().unwrap();
        let error = over(Vec::new(), &settings).build().await.unwrap_err();
        assert!(matches!(&error, StartError::UntoldCache { upstream } if upstream == "test"), "{error:?}");
        over(told.clone(), &settings).build().await.unwrap();
        settings.cache_seconds = Some(172_800);
        let error = over(told, &settings).build().await.unwrap_err();
        assert!(matches!(error, StartError::UntoldCache { .. }), "of a shorter window: {error:?}");
        settings.cache_seconds = Some(0);
        over(Vec::new(), &settings).build().await.unwrap();
    }

    #[tokio::test]
    async fn settings_as_the_environment_gives_them_add_to_what_was_set() {
        let environment = |name: &str| match name {
            "ZUMIK_UPSTREAM" => Some("http://127.0.0.1:9/v1".to_owned()),
            "ZUMIK_UPSTREAM_CACHE_SECONDS" => Some("0".to_owned()),
            "ZUMIK_CONCURRENT_STREAMS" => Some("2".to_owned()),
            _ => None,
        };
        let settings = Settings::from_environment(environment).unwrap();
        let limits = LimitSettings { tokens_per_minute: NonZeroU32::new(7), ..LimitSettings::default() };
        let builder = Server::builder().limits(limits).settings(&settings);
        assert_eq!(builder.limits.tokens_per_minute, NonZeroU32::new(7));
        assert_eq!(builder.limits.concurrent_streams, NonZeroU32::new(2));
        assert_eq!(builder.provider_caches().unwrap(), []);
        let server = builder.build().await.unwrap();
        assert!(server.app.engine.is_live(), "the upstream counts");
    }
}
