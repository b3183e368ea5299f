//! What was acknowledged survives `kill -9`; what was not is there once or not at all, and its key says which.

use std::path::Path;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zumik_client::Zumik;
use zumik_client::types::{EventType, NewEvent, Session};
use zumik_tests::log::{self, Acknowledged};
use zumik_tests::process::{ServeProcess, zumik};

const CYCLES: usize = 3;
const WRITERS: usize = 16;
/// Appends that are acknowledged before the server is killed.
const ENOUGH: usize = 400;

/// One writer's branch, and what it was told.
struct Writer {
    session: Session,
    acknowledged: Vec<Acknowledged>,
}

impl Writer {
    fn key(version: u64) -> String {
        format!("append-{version}")
    }

    async fn append(&self, zk: &Zumik) -> zumik_client::Result<Acknowledged> {
        let version = self.acknowledged.len() as u64;
        let (session, branch) = (&self.session.id, &self.session.default_branch_id);
        let call = zk.events().append(session, branch, version, NewEvent::new(EventType::Note));
        let event = call.idempotency_key(Self::key(version)).max_retries(0).await?;
        Ok((event.sequence, event.id))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_all_that_it_acknowledged() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let zumik = zumik();
    let mut api_key = String::new();
    let mut finished: Vec<Writer> = Vec::new();
    for _ in 0..CYCLES {
        let server = ServeProcess::start(&zumik, data.path());
        if api_key.is_empty() {
            api_key.clone_from(&server.api_key);
        }
        finished.extend(write_until_killed(server, &api_key).await);
        check(&zumik, data.path(), &api_key, &mut finished).await;
    }
}

/// Lets the writers append, kills the server among them, and gives what each was told.
async fn write_until_killed(server: ServeProcess, api_key: &str) -> Vec<Writer> {
    let zk = client(&server, api_key);
    let (told, mut acknowledgements) = mpsc::channel(ENOUGH);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (zk, told) = (zk.clone(), told.clone());
        let session = zk.sessions().create().await.expect("a session");
        writers.spawn(async move {
            let mut writer = Writer { session, acknowledged: Vec::new() };
            while let Ok(acknowledged) = writer.append(&zk).await {
                writer.acknowledged.push(acknowledged);
                // The receiver has gone when enough are counted; the writers go on until the server has gone too.
                let _ = told.send(()).await;
            }
            writer
        });
    }
    for _ in 0..ENOUGH {
        acknowledgements.recv().await.expect("the writers go on");
    }
    drop(acknowledgements);
    server.kill();
    writers.join_all().await
}

/// Starts a server on what the killed one left, and holds it to what it said.
async fn check(zumik: &Path, data: &Path, api_key: &str, writers: &mut [Writer]) {
    let server = ServeProcess::start(zumik, data);
    let zk = client(&server, api_key);
    for writer in writers {
        let (session, branch) = (writer.session.id.clone(), writer.session.default_branch_id.clone());
        let history = log::read(&zk, &session, &branch).await.expect("the history");
        let untold = log::check(&history, &writer.acknowledged).len();
        assert!(untold <= 1, "a writer has one append in flight");

        // The append in flight, once more under its key: one event, whether it had been made or not.
        let repeated = writer.append(&zk).await.expect("the repeated append");
        if untold == 1 {
            assert_eq!(
                Some(&repeated.1),
                history.last().map(|event| &event.id),
                "the key gives the event that was made"
            );
        }
        writer.acknowledged.push(repeated);
        let history = log::read(&zk, &session, &branch).await.expect("the history");
        assert!(log::check(&history, &writer.acknowledged).is_empty());
    }
}

fn client(server: &ServeProcess, api_key: &str) -> Zumik {
    Zumik::builder().base_url(&server.url).api_key(api_key).build().expect("a client")
}
