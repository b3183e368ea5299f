//! The providers whose models answer: what they are called at (`endpoint`, `tls`, `dialect`), how a call goes to them (`forward`,
//! `times`, `stream`, `sse`), what happens when they fail (`error`, `refusal`, `trouble`, `retry`, `breaker`), which models they have
//! (`discovery`), and how long they may hold a prompt (`caches`).

mod breaker;
mod caches;
mod dialect;
mod discovery;
mod endpoint;
mod error;
mod forward;
mod refusal;
mod retry;
pub(crate) mod sse;
mod stream;
pub(crate) mod times;
mod tls;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use indexmap::IndexMap;

pub(crate) use endpoint::Endpoint;
pub(crate) use error::{ProviderError, ProviderFailure};
pub(crate) use forward::{Forward, Forwarded};
pub(crate) use refusal::Refusal;
pub(crate) use sse::Frame;
pub(crate) use stream::{Gathered, ModelStream};
pub(crate) use trouble::Trouble;

use crate::config::{UpstreamError, UpstreamSettings, check_name};
use crate::engine::Routing;
use breaker::Breaker;
use discovery::Discovery;

/// How long opening a connection may take, name resolution left out.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept. Servers close theirs after a minute or more.
const KEEP: Duration = Duration::from_secs(50);

/// Most unused connections that are kept for one host.
const KEPT: usize = 1_024;

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// All upstreams of a server; without any, it answers with placeholders.
pub(crate) struct Upstreams {
    /// In the order of the settings.
    endpoints: Vec<(Arc<Endpoint>, Discovery)>,
    http: Http,
    breaker: Breaker,
}

impl Upstreams {
    /// Upstreams from their settings; `variable` reads the environment.
    ///
    /// # Errors
    /// A name, URL or key that cannot be used.
    pub(crate) fn new(
        settings: &IndexMap<String, UpstreamSettings>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, UpstreamError> {
        let mut endpoints = Vec::with_capacity(settings.len());
        for (name, settings) in settings {
            check_name(name, "an upstream")?;
            let endpoint = Endpoint::new(name, settings, variable)?;
            endpoints.push((Arc::new(endpoint), Discovery::default()));
        }
        let https = endpoints.iter().find(|(endpoint, _)| endpoint.https);
        let tls = tls::config(https.is_some()).map_err(|error| UpstreamError::Tls {
            upstream: https.map_or_else(String::new, |(endpoint, _)| endpoint.name.to_string()),
            source: error.into(),
        })?;
        Ok(Self { endpoints, http: client(tls), breaker: Breaker::default() })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// The upstream of this name.
    pub(crate) fn endpoint(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.endpoints.iter().map(|(endpoint, _)| endpoint).find(|endpoint| *endpoint.name == *name)
    }

    /// Who takes a model that is no alias: the upstream that has it, by its settings or by its own list, else the first
    /// that has no list in its settings, else the first. Of several that are known to have it, the first that the caller
    /// allows.
    pub(crate) async fn serving(&self, model: &str, routing: &Routing) -> Option<Arc<Endpoint>> {
        if let [(endpoint, _)] = self.endpoints.as_slice() {
            return Some(Arc::clone(endpoint));
        }
        let has = |models: &[Arc<str>]| models.iter().any(|known| **known == *model);
        let allows = |endpoint: &Endpoint| routing.allows_region(&endpoint.region);
        let all = || self.endpoints.iter().map(|(endpoint, _)| endpoint);
        let best = |having: Vec<&Arc<Endpoint>>| {
            let allowed = having.iter().find(|endpoint| allows(endpoint));
            allowed.or(having.first()).map(|endpoint| Arc::clone(endpoint))
        };
        if let Some(endpoint) = best(all().filter(|endpoint| has(&endpoint.models)).collect()) {
            return Some(endpoint);
        }
        let (mut having, mut asked) = (Vec::new(), FuturesUnordered::new());
        for (endpoint, discovery) in &self.endpoints {
            match self.listed(endpoint, discovery) {
                Ok(models) if has(&models) => having.push(endpoint),
                Ok(_) => {}
                Err(awaited) => asked.push(async move { (endpoint, awaited.list().await) }),
            }
        }
        // Nobody waits for a list once another has the name.
        while !having.iter().any(|endpoint| allows(endpoint))
            && let Some((endpoint, models)) = asked.next().await
        {
            if models.is_ok_and(|models| has(&models)) {
                having.push(endpoint);
            }
        }
        best(having)
            .or_else(|| best(all().filter(|endpoint| endpoint.models.is_empty()).collect()))
            .or_else(|| best(all().collect()))
    }
}

fn client(tls: rustls::ClientConfig) -> Http {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(CONNECT));
    http.set_nodelay(true);
    http.enforce_http(false);
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP)
        .pool_max_idle_per_host(KEPT)
        .build(https)
}
