//! A server with its sockets open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zumik_types::ProjectId;

use super::listener::Listener;
use super::metrics::{Guard, MetricsPage};
use super::{Server, cancelled, maintenance};
use crate::app::App;
use crate::batches::{ChatLines, Shop, Worker};

/// A server that answers. Dropping it ends it at once; [`shutdown`](Self::shutdown) ends it in order.
#[must_use = "a server ends when it is dropped"]
pub struct RunningServer {
    server: Server,
    url: String,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    closing: CancellationToken,
    /// Those that answer.
    listeners: Tasks,
    tasks: Tasks,
}

/// Time for answers that are on their way out when the drain time is over.
const LAST_BYTES: Duration = Duration::from_millis(500);

/// No shutdown waits longer than this (a year); it would overflow the timer.
const FAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What runs; it ends when this is dropped.
struct Tasks(Vec<JoinHandle<()>>);

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Everything that ran came to its end, and every answer was handed to the system whole.
    Completely,
    /// Some requests still ran, or some answers were still being read, at the end of the drain time and were broken off.
    Partly,
}

impl RunningServer {
    pub(super) fn start(server: Server, api: Listener, metrics: Option<(Listener, Guard)>) -> Self {
        let closing = CancellationToken::new();
        let (address, metrics_address) =
            (api.address(), metrics.as_ref().map(|(listener, _)| listener.address()));
        let mut listeners = vec![tokio::spawn(api.serve(server.api(), closing.clone()))];
        let tasks = vec![
            tokio::spawn(maintenance::run(
                Arc::clone(&server.app),
                server.upkeep.usage_days,
                closing.clone(),
            )),
            tokio::spawn(look_at_providers(Arc::clone(&server.app), closing.clone())),
            tokio::spawn(cancelled::run(Arc::clone(&server.app), closing.clone())),
            tokio::spawn(write_usage(Arc::clone(&server.app), closing.clone())),
            tokio::spawn(run_batches(Arc::clone(&server.app), server.upkeep.batch_lines, closing.clone())),
        ];
        if let Some((listener, guard)) = metrics {
            let page = MetricsPage { app: Arc::clone(&server.app), guard };
            listeners.push(tokio::spawn(listener.serve(page, closing.clone())));
        }
        let url = format!("http://{}", reachable(address));
        Self {
            server,
            url,
            address,
            metrics_address,
            closing,
            listeners: Tasks(listeners),
            tasks: Tasks(tasks),
        }
    }

    /// Where the API is, for example `http://127.0.0.1:8787`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An API key of the default project; see [`Server::api_key`].
    pub fn api_key(&self) -> &str {
        self.server.api_key()
    }

    /// The default project.
    pub fn project_id(&self) -> &ProjectId {
        self.server.project_id()
    }

    /// The address that the API listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that the metrics listen on, if they do.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The server behind the sockets.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Ends the server in order: new requests are refused with 503, running ones finish and their answers are sent to the
    /// last byte, then the store is closed.
    ///
    /// What still runs after the drain time of the builder is broken off. Nothing that was acknowledged is lost either
    /// way.
    pub async fn shutdown(self) -> Drained {
        let app = &self.server.app;
        app.drain();
        let end = Instant::now() + self.server.drain.min(FAR);
        let finished = tokio::time::timeout_at(end, app.running.end()).await.is_ok();
        self.closing.cancel();
        // A request is done when it is answered; its answer may still be on the way to a slow reader.
        let sent = self.listeners.end(end.max(Instant::now() + LAST_BYTES)).await;
        self.tasks.end(Instant::now() + LAST_BYTES).await;
        // What was broken off is gone when the runtime has let go of its connection, and accounts for itself then.
        if tokio::time::timeout(LAST_BYTES, app.running.end()).await.is_err() {
            tracing::debug!("something that was broken off has not ended yet");
        }
        app.engine.settle().await;
        if let Err(error) = app.usage.flush().await {
            tracing::error!(%error, "the last usage events could not be written");
        }
        app.store.close().await;
        if finished && sent { Drained::Completely } else { Drained::Partly }
    }
}

/// Nobody waits for it.
async fn look_at_providers(app: Arc<App>, closing: CancellationToken) {
    closing.run_until_cancelled(app.engine.look_at_providers()).await;
}

async fn write_usage(app: Arc<App>, closing: CancellationToken) {
    app.usage.run(closing).await;
}

async fn run_batches(app: Arc<App>, lines: u32, closing: CancellationToken) {
    let shop = Shop {
        store: app.store.clone(),
        runner: Arc::new(ChatLines(Arc::clone(&app))),
        clock: Arc::clone(&app.clock),
        mint: Arc::clone(&app.mint),
        running: app.running.clone(),
    };
    let worker = Worker::new(shop, app.batches.clone(), lines as usize);
    worker.run(closing, || app.is_draining()).await;
}

impl Tasks {
    /// Waits for all tasks to end by themselves, and ends those that still run then. Tells whether there were none.
    async fn end(mut self, then: Instant) -> bool {
        let all = futures_util::future::join_all(self.0.iter_mut());
        // Those that are left end when this is dropped.
        tokio::time::timeout_at(then, all).await.is_ok()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl std::fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningServer").field("url", &self.url).finish_non_exhaustive()
    }
}

/// An address that can be connected to: a server that listens everywhere is reached at the loopback address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}
