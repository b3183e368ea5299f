//! Workers of two servers on one PostgreSQL: a line is answered once, whatever becomes of a server.

use std::collections::BTreeSet;

use tokio::sync::{Semaphore, watch};
use zumik_test_postgres::Postgres;

use super::*;
use crate::clock::FixedClock;
use crate::seal::MasterKey;
use crate::store::LINE_LEASE;
use crate::store::postgres::{Options, PostgresStore};

/// Lines that a server runs at a time.
const SLOTS: usize = 4;

/// Answers lines with the name of its server, as far as it is let.
struct Gated {
    server: &'static str,
    gate: Semaphore,
    called: watch::Sender<Vec<String>>,
}

#[async_trait]
impl Runner for Gated {
    async fn run(&self, ctx: &ProjectCtx, body: Bytes) -> LineAnswer {
        let line: Value = serde_json::from_slice(&body).unwrap();
        self.called.send_modify(|called| called.push(line["name"].as_str().unwrap().to_owned()));
        let _passed = self.gate.acquire().await.unwrap();
        let body = json!({ "by": self.server }).to_string().into();
        LineAnswer { status: 200, trace: ctx.trace.clone(), body, retry_after: None, asked: true }
    }
}

/// One of the servers: its store, what answers its lines, and its worker.
struct Replica {
    store: Arc<PostgresStore>,
    runner: Arc<Gated>,
    clock: Arc<FixedClock>,
    bell: Bell,
    running: Running,
}

impl Replica {
    /// Two on one database; nothing where PostgreSQL is not installed.
    async fn two() -> Option<[Self; 2]> {
        let server = Postgres::shared()?;
        let clock = Arc::new(FixedClock::at(Utc::now()));
        let (url, schema) = (server.url("postgres"), server.name("batches"));
        let open = async |server| {
            let options = Options::new(url.parse().unwrap())
                .schema(&schema)
                .connections(8)
                .master_key(MasterKey::parse(&"7".repeat(64)).unwrap())
                .clock(clock.clone());
            let (called, _) = watch::channel(Vec::new());
            Self {
                store: Arc::new(PostgresStore::open(options).await.unwrap()),
                runner: Arc::new(Gated { server, gate: Semaphore::new(0), called }),
                clock: clock.clone(),
                bell: Bell::default(),
                running: Running::default(),
            }
        };
        Some([open("one").await, open("two").await])
    }

    fn work(&self) -> JoinHandle<()> {
        let shop = Shop {
            store: self.store.clone(),
            runner: self.runner.clone(),
            clock: self.clock.clone(),
            mint: Arc::new(RandomMint::default()),
            running: self.running.clone(),
        };
        let worker = Worker::new(shop, self.bell.clone(), SLOTS);
        tokio::spawn(async move { worker.run(CancellationToken::new(), || false).await })
    }

    fn let_all_pass(&self) {
        self.runner.gate.add_permits(SLOTS);
    }

    /// Waits until so many lines were begun here; gives them.
    async fn begun(&self, lines: usize) -> Vec<String> {
        let mut called = self.runner.called.subscribe();
        let begun = called.wait_for(|called| called.len() >= lines);
        let begun = tokio::time::timeout(Duration::from_secs(30), begun).await;
        begun.expect("lines are begun").unwrap().clone()
    }
}

/// A project's batch of lines with these names.
async fn batch(replica: &Replica, names: &[String]) -> (World, BatchId) {
    let clock: Arc<dyn Clock> = replica.clock.clone();
    let world = World::over(replica.store.clone(), clock, Duration::ZERO, HashMap::new()).await;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let batch = world.create(&names).await;
    (world, batch)
}

/// Waits for the end of a batch, which must come; gives it and the names in its output.
async fn ended(world: &World, batch: &BatchId) -> (Batch, Vec<String>) {
    let ended = tokio::time::timeout(Duration::from_secs(30), world.ended(batch)).await;
    let (batch, output, _) = ended.expect("the batch ends");
    (batch, output)
}

fn names(lines: usize) -> Vec<String> {
    (0..lines).map(|line| line.to_string()).collect()
}

#[tokio::test]
async fn two_servers_share_the_lines_of_a_batch_and_run_none_twice() {
    let Some([one, two]) = Replica::two().await else { return };
    let names = names(60);
    let (world, batch) = batch(&one, &names).await;
    let workers = [one.work(), two.work()];
    one.begun(1).await;
    two.begun(1).await;
    one.let_all_pass();
    two.let_all_pass();
    let (ended, output) = ended(&world, &batch).await;
    assert_eq!((ended.request_counts.completed, output), (60, names.clone()));
    let called = [&one, &two].map(|replica| replica.runner.called.borrow().clone()).concat();
    assert_eq!(called.len(), 60, "a line ran twice: {called:?}");
    assert_eq!(called.iter().collect::<BTreeSet<_>>(), names.iter().collect());
    workers.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_server_that_dies_is_followed_by_the_other_one_when_its_leases_end() {
    let Some([one, two]) = Replica::two().await else { return };
    let names = names(10);
    let (world, batch) = batch(&one, &names).await;
    let dying = one.work();
    let held: BTreeSet<_> = one.begun(SLOTS).await.into_iter().collect();
    dying.abort();
    let worker = two.work();
    two.let_all_pass();
    let free: BTreeSet<_> = two.begun(names.len() - SLOTS).await.into_iter().collect();
    assert!(held.is_disjoint(&free), "a line that is held ran elsewhere: {held:?}, {free:?}");
    let more = world.store.claim_batch_lines(two.clock.now(), SLOTS as u32).await.unwrap();
    assert_eq!(more.len(), 0, "a line that is held was given to somebody else");

    // Else the leases of those that are still running would end, too.
    while world.read(&batch).await.request_counts.completed < free.len() as u64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    one.clock.advance(LINE_LEASE);
    two.bell.ring();
    let (ended, output) = ended(&world, &batch).await;
    assert_eq!((ended.status, output), (BatchStatus::Completed, names.clone()));
    let called: BTreeSet<_> = two.begun(names.len()).await.into_iter().collect();
    assert_eq!((called.len(), two.runner.called.borrow().len()), (names.len(), names.len()));
    worker.abort();
}

#[tokio::test]
async fn a_paused_server_that_wakes_up_changes_nothing_of_what_the_other_one_kept() {
    let Some([one, two]) = Replica::two().await else { return };
    let names = names(10);
    let (world, batch) = batch(&one, &names).await;
    let paused = one.work();
    one.begun(SLOTS).await;
    one.clock.advance(LINE_LEASE);
    let worker = two.work();
    two.let_all_pass();
    let before = ended(&world, &batch).await;
    assert_eq!((before.0.status.clone(), &before.1), (BatchStatus::Completed, &names));
    let file = before.0.output_file_id.clone().unwrap();
    let content = world.content(&file).await;

    // The lines of the first one come to their end now, and find that they are not its own any more.
    one.let_all_pass();
    tokio::time::timeout(Duration::from_secs(30), one.running.end()).await.unwrap();
    assert_eq!(world.read(&batch).await, before.0);
    assert_eq!(world.content(&file).await, content);
    let answers = String::from_utf8(content.to_vec()).unwrap();
    assert_eq!(answers.matches(r#""by":"two""#).count(), names.len(), "{answers}");
    assert!(!answers.contains(r#""by":"one""#), "{answers}");
    paused.abort();
    worker.abort();
}
