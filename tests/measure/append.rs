//! Durable appends a second: over HTTP at 64 connections, the load included, against the same store called in process.
//!
//! Each writer has a branch of its own, so that every append succeeds and what is measured is the path of one append: its
//! guards, its event, its commit.

use std::time::{Duration, Instant};

use zumik_tests::process::ServeProcess;

use crate::loader::{Connection, text_member};
use crate::local::Local;
use crate::report::{Report, Row, median};
use crate::{Plan, Result};

/// Writers at once.
pub const WRITERS: usize = 64;

/// Runs rounds of both sides in turns.
pub fn measure(plan: &Plan, report: &mut Report) -> Result {
    let time = Duration::from_millis(plan.pick(2_000, 300));
    let rounds = plan.pick(7, 1);

    let folder = plan.folder()?;
    let server = ServeProcess::start(&plan.zumik, folder.path());
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut writers = load.block_on(HttpWriter::open_all(&server))?;

    let folder = plan.folder()?;
    let here = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store = here.block_on(Local::open(folder.path()))?;

    let (mut plain, mut keyed, mut in_process) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        plain.push(load.block_on(http_round(&mut writers, time, false))?);
        in_process.push(here.block_on(store_round(&store, time))?);
        keyed.push(load.block_on(http_round(&mut writers, time, true))?);
    }
    let baseline = median(&in_process);
    for (what, rates) in [("", &plain), (", each with an idempotency key", &keyed)] {
        let rate = median(rates);
        report.add(Row {
            what: format!("Durable appends over HTTP, {WRITERS} connections{what}"),
            value: format!("{rate:.0}/s"),
            baseline: format!("the same store in process, {WRITERS} tasks: {baseline:.0}/s"),
            ratio: Some(rate / baseline),
        });
    }
    Ok(())
}

/// One connection with its branch.
struct HttpWriter {
    connection: Connection,
    events: String,
    version: u64,
    head: Option<String>,
}

impl HttpWriter {
    async fn open_all(server: &ServeProcess) -> Result<Vec<Self>> {
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            let mut connection = Connection::open(&server.url, &server.api_key).await?;
            let session = connection.post("/v2/sessions", "{}", None).await?;
            let id = text_member(session, "id").ok_or("a session without an id")?;
            let branch = text_member(session, "default_branch_id").ok_or("a session without a branch")?;
            let events = format!("/v2/sessions/{id}/branches/{branch}/events");
            writers.push(Self { connection, events, version: 0, head: None });
        }
        Ok(writers)
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

/// Appends of all writers a second, over HTTP.
async fn http_round(writers: &mut [HttpWriter], time: Duration, keyed: bool) -> Result<f64> {
    let start = Instant::now();
    let work = writers.iter_mut().map(|writer| async move {
        let mut appends = 0u64;
        while start.elapsed() < time {
            writer.append(keyed).await?;
            appends += 1;
        }
        Result::Ok(appends)
    });
    let appends: u64 = futures_util::future::try_join_all(work).await?.iter().sum();
    Ok(appends as f64 / start.elapsed().as_secs_f64())
}

/// Appends of as many tasks a second, in process.
async fn store_round(store: &Local, time: Duration) -> Result<f64> {
    let mut tasks = tokio::task::JoinSet::new();
    let mut branches = Vec::new();
    for _ in 0..WRITERS {
        branches.push(store.branch().await?);
    }
    let start = Instant::now();
    for mut branch in branches {
        let store = store.clone();
        tasks.spawn(async move {
            let mut appends = 0u64;
            while start.elapsed() < time {
                store.append(&mut branch).await.map_err(|error| error.to_string())?;
                appends += 1;
            }
            std::result::Result::<u64, String>::Ok(appends)
        });
    }
    let appends: u64 = tasks.join_all().await.into_iter().sum::<std::result::Result<u64, String>>()?;
    Ok(appends as f64 / start.elapsed().as_secs_f64())
}
