//! Writers that append as fast as they are answered: over HTTP, and in the process of the benchmark.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use zumik_tests::process::ServeProcess;

use crate::Result;
use crate::loader::{Connection, text_member};
use crate::local::{Branch, Local};

/// Writers at once. Each has a branch of its own, so that every append succeeds and what is measured is the path of one
/// append: its guards, its event, its commit.
pub const WRITERS: usize = 64;

/// What a round came to.
pub struct Round {
    /// Appends a second.
    pub rate: f64,
    /// How long each took.
    pub times: Vec<Duration>,
}

impl Round {
    fn new(times: Vec<Vec<Duration>>, start: Instant) -> Self {
        let took = start.elapsed();
        let times = times.concat();
        Self { rate: times.len() as f64 / took.as_secs_f64(), times }
    }
}

/// Connections to a server, each with its branch.
pub struct HttpWriters(Vec<HttpWriter>);

impl HttpWriters {
    /// Opens them.
    pub fn open(load: &Runtime, server: &ServeProcess) -> Result<Self> {
        load.block_on(async {
            let mut writers = Vec::new();
            for _ in 0..WRITERS {
                writers.push(HttpWriter::open(server).await?);
            }
            Ok(Self(writers))
        })
    }

    /// Appends of all of them for so long, each under an idempotency key or none.
    pub fn round(&mut self, load: &Runtime, time: Duration, keyed: bool) -> Result<Round> {
        let start = Instant::now();
        let work = self.0.iter_mut().map(|writer| async move {
            let mut times = Vec::new();
            while start.elapsed() < time {
                let sent = Instant::now();
                writer.append(keyed).await?;
                times.push(sent.elapsed());
            }
            Result::Ok(times)
        });
        let times = load.block_on(futures_util::future::try_join_all(work))?;
        Ok(Round::new(times, start))
    }
}

/// One connection with its branch.
struct HttpWriter {
    connection: Connection,
    events: String,
    version: u64,
    head: Option<String>,
}

impl HttpWriter {
    async fn open(server: &ServeProcess) -> Result<Self> {
        let mut connection = Connection::open(&server.url, &server.api_key).await?;
        let session = connection.post("/v2/sessions", "{}", None).await?;
        let id = text_member(session, "id").ok_or("a session without an id")?;
        let branch = text_member(session, "default_branch_id").ok_or("a session without a branch")?;
        let events = format!("/v2/sessions/{id}/branches/{branch}/events");
        Ok(Self { connection, events, version: 0, head: None })
    }

    async fn append(&mut self, keyed: bool) -> Result {
        let head = self.head.as_ref().map_or_else(|| "null".to_owned(), |head| format!("\"{head}\""));
        let version = self.version;
        let body = format!(
            r#"{{"expected_version":{version},"expected_head_event_id":{head},"event":{{"event_type":"note"}}}}"#
        );
        // The path has the branch, so path and version name this append once.
        let key = keyed.then(|| format!("append-{version}"));
        let event = self.connection.post(&self.events, &body, key.as_deref()).await?;
        self.head = Some(text_member(event, "id").ok_or("an event without an id")?.to_owned());
        self.version += 1;
        Ok(())
    }
}

/// Appends of as many tasks, in process.
pub async fn store_round(store: &Local, time: Duration) -> Result<Round> {
    let mut branches = Vec::new();
    for _ in 0..WRITERS {
        branches.push(store.branch().await?);
    }
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for branch in branches {
        tasks.spawn(append_for(store.clone(), branch, start, time));
    }
    let times = tasks.join_all().await.into_iter().collect::<std::result::Result<_, _>>()?;
    Ok(Round::new(times, start))
}

async fn append_for(
    store: Local,
    mut branch: Branch,
    start: Instant,
    time: Duration,
) -> std::result::Result<Vec<Duration>, String> {
    let mut times = Vec::new();
    while start.elapsed() < time {
        let asked = Instant::now();
        store.append(&mut branch).await.map_err(|error| error.to_string())?;
        times.push(asked.elapsed());
    }
    Ok(times)
}
