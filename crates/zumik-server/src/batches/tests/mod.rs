//! The worker, over the plain store and in virtual time. What answers lines is scripted here: it must fail at will.

mod away;
mod disturbed;
mod reached;
mod replicas;
mod rests;
mod slow_ends;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zumik_types::{Batch, BatchId, BatchStatus, CreateBatchRequest, FileId};

use super::*;
use crate::clock::Clock;
use crate::domain::{Scopes, key_hash};
use crate::mint::RandomMint;
use crate::running::Running;
use crate::store::memory::MemoryStore;
use crate::store::{BatchStore, NewFile, NewKey, Store, Written};

const ENDPOINT: &str = "/v1/chat/completions";

/// A clock that goes with the time of the test.
struct VirtualClock(DateTime<Utc>, Instant);

impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        self.0 + TimeDelta::from_std(self.1.elapsed()).unwrap()
    }
}

/// How a line is answered once.
#[derive(Debug, Clone, Copy)]
struct Says {
    status: u16,
    retry_after: Option<u64>,
    asked: bool,
}

impl From<u16> for Says {
    fn from(status: u16) -> Self {
        Self { status, retry_after: None, asked: true }
    }
}

/// Answers a line after `takes`, as its script says in turn, the last one from then on.
struct Script {
    takes: Duration,
    says: HashMap<&'static str, Vec<Says>>,
    calls: Mutex<Vec<(String, Instant)>>,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
}

#[async_trait]
impl Runner for Script {
    async fn run(&self, ctx: &ProjectCtx, body: Bytes) -> LineAnswer {
        let line: Value = serde_json::from_slice(&body).unwrap();
        let name = line["name"].as_str().unwrap().to_owned();
        let before = self.calls.lock().unwrap().iter().filter(|(called, _)| *called == name).count();
        self.calls.lock().unwrap().push((name.clone(), Instant::now()));
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(running, Ordering::SeqCst);
        let _ends = Ends(&self.running);
        let says = self.says.get(&*name);
        let says = says.and_then(|says| says.get(before).or(says.last())).copied().unwrap_or(200.into());
        if says.asked {
            tokio::time::sleep(self.takes).await;
        }
        LineAnswer {
            status: says.status,
            trace: ctx.trace.clone(),
            body: Bytes::from(json!({ "name": name }).to_string()),
            retry_after: says.retry_after,
            asked: says.asked,
        }
    }
}

struct Ends<'a>(&'a AtomicUsize);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct World {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ctx: ProjectCtx,
    script: Arc<Script>,
    bell: Bell,
    running: Running,
}

impl World {
    async fn new(takes: Duration, statuses: &[(&'static str, &[u16])]) -> Self {
        let says = statuses
            .iter()
            .map(|(name, statuses)| (*name, statuses.iter().map(|status| Says::from(*status)).collect()));
        Self::saying(takes, says.collect()).await
    }

    async fn saying(takes: Duration, says: HashMap<&'static str, Vec<Says>>) -> Self {
        let clock = Arc::new(VirtualClock(Utc::now(), Instant::now()));
        let store = MemoryStore::new(clock.clone(), Arc::new(RandomMint::default()));
        Self::over(Arc::new(store), clock, takes, says).await
    }

    async fn over(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        takes: Duration,
        says: HashMap<&'static str, Vec<Says>>,
    ) -> Self {
        let project = store.ensure_project("test", clock.now()).await.unwrap().id;
        let key = NewKey {
            name: "test".to_owned(),
            scopes: Scopes::INFERENCE_ONLY,
            hash: key_hash(b"test"),
            masked: String::new(),
        };
        let key = store.create_key(&project, key, clock.now()).await.unwrap().id;
        let trace = zumik_types::TraceId::with_suffix("1");
        let now = clock.now();
        let ctx = ProjectCtx { project, key, scopes: Scopes::INFERENCE_ONLY, trace, now };
        let script = Script {
            takes,
            says,
            calls: Mutex::default(),
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        };
        Self {
            store,
            clock,
            ctx,
            script: Arc::new(script),
            bell: Bell::default(),
            running: Running::default(),
        }
    }

    fn ctx(&self) -> ProjectCtx {
        ProjectCtx { now: self.clock.now(), ..self.ctx.clone() }
    }

    /// A worker, and what ends it.
    fn work(&self, slots: usize) -> (JoinHandle<()>, CancellationToken) {
        self.work_until(slots, || false)
    }

    fn work_until(
        &self,
        slots: usize,
        draining: impl Fn() -> bool + Send + Sync + 'static,
    ) -> (JoinHandle<()>, CancellationToken) {
        self.work_over(self.store.clone(), slots, draining)
    }

    fn work_over(
        &self,
        store: Arc<dyn BatchStore>,
        slots: usize,
        draining: impl Fn() -> bool + Send + Sync + 'static,
    ) -> (JoinHandle<()>, CancellationToken) {
        let shop = Shop {
            store,
            runner: self.script.clone(),
            clock: self.clock.clone(),
            mint: Arc::new(RandomMint::default()),
            running: self.running.clone(),
        };
        let (worker, closing) = (Worker::new(shop, self.bell.clone(), slots), CancellationToken::new());
        let token = closing.clone();
        (tokio::spawn(async move { worker.run(token, draining).await }), closing)
    }

    async fn create(&self, names: &[&str]) -> BatchId {
        let line = |name: &&str| {
            json!({ "custom_id": name, "method": "POST", "url": ENDPOINT, "body": { "name": name } })
                .to_string()
        };
        let lines: Vec<_> = names.iter().map(line).collect();
        let file = NewFile {
            filename: "requests.jsonl".to_owned(),
            purpose: "batch".to_owned(),
            content: lines.join("\n").into(),
            expires_at: None,
        };
        let file = self.store.upload_file(&self.ctx(), file, None).await.unwrap().fresh().unwrap().id;
        let request = CreateBatchRequest::new(file, ENDPOINT);
        let Written::Fresh { value, .. } = self.store.create_batch(&self.ctx(), request, None).await.unwrap()
        else {
            panic!("the batch was made now")
        };
        self.bell.ring();
        value.id
    }

    async fn read(&self, id: &BatchId) -> Batch {
        self.store.retrieve_batch(&self.ctx(), id).await.unwrap()
    }

    /// Waits for the end of a batch; gives it and the names in its files.
    async fn ended(&self, id: &BatchId) -> (Batch, Vec<String>, Vec<Value>) {
        loop {
            let batch = self.read(id).await;
            if batch.completed_at.or(batch.cancelled_at).or(batch.failed_at).is_some() {
                let output = self.lines(&batch, true).await;
                let names = output.iter().map(|line| line["custom_id"].as_str().unwrap().to_owned());
                return (batch.clone(), names.collect(), self.lines(&batch, false).await);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn content(&self, file: &FileId) -> Bytes {
        self.store.retrieve_file_content(&self.ctx(), file).await.unwrap()
    }

    async fn lines(&self, batch: &Batch, output: bool) -> Vec<Value> {
        let file = if output { &batch.output_file_id } else { &batch.error_file_id };
        let Some(file) = file else { return Vec::new() };
        let content = self.content(file).await;
        content
            .trim_ascii_end()
            .split(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    /// When the line of this name was called, in seconds from the first call of it.
    fn calls(&self, name: &str) -> Vec<u64> {
        let calls = self.script.calls.lock().unwrap();
        let times: Vec<_> = calls.iter().filter(|(called, _)| called == name).map(|(_, at)| *at).collect();
        times.iter().map(|at| (*at - times[0]).as_secs()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn lines_run_side_by_side_up_to_the_limit_and_end_in_the_files() {
    let world = World::new(Duration::from_secs(1), &[("7", &[400])]).await;
    let (_worker, _closing) = world.work(4);
    let names: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let batch = world.create(&names).await;
    let (batch, output, errors) = world.ended(&batch).await;
    assert_eq!(batch.status, BatchStatus::Completed);
    assert_eq!(output, ["0", "1", "2", "3", "4", "5", "6", "8", "9"]);
    assert_eq!(errors[0]["response"]["body"]["name"], "7");
    assert_eq!(world.script.most_at_once.load(Ordering::SeqCst), 4);
    assert_eq!(world.script.calls.lock().unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn lines_that_take_long_keep_no_free_slot_from_others() {
    let world = World::new(Duration::from_secs(600), &[]).await;
    let (_worker, _closing) = world.work(8);
    world.create(&["a", "b", "c", "d", "e", "f", "g"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.create(&["h"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.calls("h"), [0], "a slot is free, and nobody has come for it");
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_with_growing_pauses_and_not_forever() {
    let scripts: &[(&str, &[u16])] = &[("once", &[503, 429, 200]), ("never", &[500]), ("wrong", &[422])];
    let world = World::new(Duration::ZERO, scripts).await;
    let (_worker, _closing) = world.work(4);
    let batch = world.create(&["once", "never", "wrong", "fine"]).await;
    let (_, output, errors) = world.ended(&batch).await;
    assert_eq!(output, ["once", "fine"]);
    let statuses: Vec<_> = errors.iter().map(|line| line["response"]["status_code"].as_u64()).collect();
    assert_eq!(statuses, [Some(500), Some(422)]);
    assert_eq!((world.calls("wrong").len(), world.calls("once").len()), (1, 3));
    let never = world.calls("never");
    assert_eq!(never.len(), 5);
    for (at, least) in [(1, 1), (2, 3), (3, 6), (4, 12)] {
        assert!(never[at] - never[at - 1] >= least, "{never:?}");
        assert!(never[at] - never[at - 1] <= 4 * least + 1, "{never:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_comes_before_the_time_that_the_last_answer_asked_for() {
    let busy = Says { retry_after: Some(60), ..429.into() };
    let world = World::saying(Duration::ZERO, [("busy", vec![busy, busy, 200.into()])].into()).await;
    let (_worker, _closing) = world.work(4);
    let batch = world.create(&["busy"]).await;
    let (_, output, _) = world.ended(&batch).await;
    assert_eq!(output, ["busy"]);
    let calls = world.calls("busy");
    assert!(calls[1] >= 60 && calls[2] >= calls[1] + 60, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_takes_long_is_held_and_runs_once() {
    let world = World::new(Duration::from_secs(900), &[]).await;
    let (_one, _closing) = world.work(2);
    let (_other, _closing) = world.work(2);
    let batch = world.create(&["a", "b", "c"]).await;
    let (_, output, _) = world.ended(&batch).await;
    assert_eq!(output, ["a", "b", "c"]);
    assert_eq!(world.script.calls.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_closed_gives_its_lines_back_at_once() {
    let world = World::new(Duration::from_secs(10), &[]).await;
    let (worker, closing) = world.work(8);
    let batch = world.create(&["a", "b"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    closing.cancel();
    worker.await.unwrap();
    assert_eq!(world.script.running.load(Ordering::SeqCst), 0, "the calls are cancelled");
    let claimed = world.store.claim_batch_lines(world.clock.now(), 8).await.unwrap();
    assert_eq!(claimed.iter().map(|line| line.attempt).collect::<Vec<_>>(), [1, 1]);
    let leases = claimed.into_iter().map(|line| line.lease).collect();
    world.store.release_batch_lines(leases).await.unwrap();
    let (_worker, _closing) = world.work(8);
    let (_, output, _) = world.ended(&batch).await;
    assert_eq!(output, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_died_is_followed_when_its_leases_end() {
    let world = World::new(Duration::from_secs(10), &[]).await;
    let (worker, _closing) = world.work(8);
    let batch = world.create(&["a", "b"]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    worker.abort();
    let (_worker, _closing) = world.work(8);
    let (_, output, _) = world.ended(&batch).await;
    assert_eq!(output, ["a", "b"]);
    assert!(world.calls("a")[1] >= 55, "{:?}", world.calls("a"));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_never_comes_to_an_end_is_given_up() {
    let world = World::new(Duration::from_secs(30), &[]).await;
    let batch = world.create(&["a"]).await;
    for _ in 0..retry::ATTEMPTS {
        let (worker, _closing) = world.work(1);
        tokio::time::sleep(Duration::from_secs(5)).await;
        worker.abort();
        tokio::time::sleep(Duration::from_secs(61)).await;
    }
    let (_worker, _closing) = world.work(1);
    let (_, output, errors) = world.ended(&batch).await;
    assert_eq!(output.len(), 0);
    assert_eq!(errors[0]["error"]["code"], "internal_error");
    assert_eq!(world.calls("a").len(), retry::ATTEMPTS as usize);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_batch_ends_when_its_running_lines_have() {
    let world = World::new(Duration::from_secs(3), &[]).await;
    let (_worker, _closing) = world.work(2);
    let batch = world.create(&["a", "b", "c", "d"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.store.cancel_batch(&world.ctx(), &batch, None).await.unwrap();
    world.bell.ring();
    let (ended, output, errors) = world.ended(&batch).await;
    assert_eq!((ended.status, output), (BatchStatus::Cancelled, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(errors.len(), 2);
    assert!(world.script.calls.lock().unwrap()[0].1.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_ends_its_lines_and_begins_no_more() {
    let world = World::new(Duration::from_secs(3), &[]).await;
    let draining = CancellationToken::new();
    let token = draining.clone();
    let (_worker, _closing) = world.work_until(2, move || token.is_cancelled());
    let batch = world.create(&["a", "b", "c", "d"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    draining.cancel();
    world.running.end().await;
    let counts = world.read(&batch).await.request_counts;
    assert_eq!((counts.completed, counts.failed), (2, 0));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.script.calls.lock().unwrap().len(), 2);
}
