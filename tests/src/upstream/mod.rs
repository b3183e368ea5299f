//! A model provider for tests: a server that speaks OpenAI, does what it is told and remembers what it was asked.
//!
//! It answers chat completions, responses and embeddings, plain and as streams, and the same request always gets the same
//! answer. A [`Behaviour`] makes it slow, stall, break off or fail. Tests in Rust give one with [`Upstream::next`]; clients
//! in other languages write it into the model's name, such as `gpt-test?status=429&retry_after=2`, or post it to
//! `/control/next`.

mod answer;
mod behaviour;
mod play;
mod record;
mod service;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use behaviour::{Behaviour, Fault};
pub use record::{Ended, Recorded};

use record::Log;

/// The models that `/v1/models` lists. Any other name is answered as well.
pub const MODELS: [&str; 3] = ["gpt-test", "gpt-test-mini", "embedding-test"];

/// A running provider on a loopback port. It ends when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What its connections share.
#[derive(Debug)]
struct Shared {
    log: Log,
    script: Mutex<Script>,
}

/// How the next requests are answered.
#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Behaviour>,
    always: Behaviour,
}

impl Upstream {
    /// Starts on a free port.
    ///
    /// # Panics
    /// When no loopback port is free.
    pub async fn start() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::bind(address, true).await.expect("a loopback port")
    }

    /// Starts on a free port and remembers nothing, as load needs it.
    ///
    /// # Panics
    /// When no loopback port is free.
    pub async fn forgetful() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::bind(address, false).await.expect("a loopback port")
    }

    /// Starts on an address.
    ///
    /// # Errors
    /// When it cannot be listened on.
    pub async fn bind(address: SocketAddr, records: bool) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { log: Log::new(records), script: Mutex::default() });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, task })
    }

    /// The base URL in OpenAI's convention, with `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The request after those that have a behaviour already is answered so.
    pub fn next(&self, behaviour: Behaviour) {
        self.shared.script().next.push_back(behaviour);
    }

    /// Every request that has no behaviour of its own is answered so from now on.
    pub fn always(&self, behaviour: Behaviour) {
        self.shared.script().always = behaviour;
    }

    /// What it was asked, in order of arrival. `/v1/models` and `/control` are not among it.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.log.requests()
    }

    /// Waits until what it was asked, and how that ended, is as the condition wants it.
    ///
    /// # Panics
    /// When that does not happen within a minute.
    pub async fn until(&self, condition: impl FnMut(&[Recorded]) -> bool) -> Vec<Recorded> {
        self.shared.log.until(condition).await
    }

    /// Runs for as long as the process does.
    pub async fn run(mut self) {
        // The task accepts forever; it can only end by being aborted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How this request is answered: by the script, else by the name of its model, else as always.
    fn behaviour(&self, model: &str) -> Result<Behaviour, String> {
        let mut script = self.script();
        match (script.next.pop_front(), model.split_once('?')) {
            (Some(next), _) => Ok(next),
            (None, Some((_, query))) => query.parse(),
            (None, None) => Ok(script.always.clone()),
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Without it a chunk waits for the acknowledgement of the one before it. A failure would only slow things down.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| service::answer(Arc::clone(&shared), request));
            // An error of the service is a connection that ends: what was asked for.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
