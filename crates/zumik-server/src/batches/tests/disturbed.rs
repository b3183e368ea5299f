//! Workers that are killed, over a store that fails in every way: once that is over, each batch comes to its end within a
//! lease and a look, with one answer to each line.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;

use super::reached::{Between, Call, Reached};
use super::*;
use crate::store::{LINE_LEASE, Result, StoreError};

/// Histories that are tried.
const HISTORIES: u64 = 60;

/// How long a history is disturbed.
const DISTURBED: Duration = Duration::from_secs(400);

/// The longest wait of a store or a line: longer than a lease.
const LONGEST: u64 = 90;

const WORKERS: usize = 3;
const BATCHES: usize = 12;
const LINES: usize = 6;

/// What goes wrong, until it is over.
struct Trouble {
    random: Mutex<StdRng>,
    over: watch::Sender<bool>,
}

impl Trouble {
    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// A number below `most`.
    fn choose(&self, most: u64) -> u64 {
        self.random.lock().random_range(0..most)
    }

    /// Waits for some time, not longer than the trouble lasts.
    async fn wait(&self, most: u64) {
        let wait = Duration::from_millis(self.choose(most * 1_000));
        let mut over = self.over.subscribe();
        let _ = tokio::time::timeout(wait, over.wait_for(|over| *over)).await;
    }
}

impl Between for Trouble {
    /// A call is made as it should, not at all, late, or so that its worker is told late, or wrongly, of it.
    async fn make<T: Send>(&self, _: Call, made: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if self.is_over() {
            return made.await;
        }
        match self.choose(10) {
            0 => self.wait(LONGEST).await,
            1 | 2 => return Err(StoreError::unavailable("refused")),
            3 | 4 => {
                made.await?;
                return Err(StoreError::unavailable("the answer was lost"));
            }
            5 => {
                let answer = made.await;
                self.wait(LONGEST).await;
                return answer;
            }
            _ => {}
        }
        made.await
    }
}

/// Answers lines late, with errors, or without having asked, until the trouble is over.
struct Moody(Arc<Trouble>);

#[async_trait]
impl Runner for Moody {
    async fn run(&self, ctx: &ProjectCtx, _body: Bytes) -> LineAnswer {
        let trouble = &self.0;
        let (status, asked) = match trouble.is_over() {
            true => (200, true),
            false => match trouble.choose(6) {
                0 => (503, true),
                1 | 2 => (502, false),
                _ => (200, true),
            },
        };
        if asked && !trouble.is_over() {
            trouble.wait(LONGEST).await;
        }
        let body = Bytes::from_static(b"{}");
        LineAnswer { status, trace: ctx.trace.clone(), body, retry_after: None, asked }
    }
}

impl World {
    fn work_through(&self, trouble: &Arc<Trouble>) -> JoinHandle<()> {
        let shop = Shop {
            store: Arc::new(Reached(self.store.clone(), trouble.clone())),
            runner: Arc::new(Moody(trouble.clone())),
            clock: self.clock.clone(),
            mint: Arc::new(RandomMint::default()),
            running: self.running.clone(),
        };
        // Each server has its own bell, and rings it for what was asked of it.
        let worker = Worker::new(shop, Bell::default(), 4);
        tokio::spawn(async move { worker.run(CancellationToken::new(), || false).await })
    }
}

async fn history(seed: u64) {
    let world = World::new(Duration::ZERO, &[]).await;
    let random = Mutex::new(StdRng::seed_from_u64(seed));
    let trouble = Arc::new(Trouble { random, over: watch::Sender::new(false) });
    let mut workers: Vec<_> = (0..WORKERS).map(|_| world.work_through(&trouble)).collect();
    let names: Vec<_> = (0..LINES).map(|name| name.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (begun, mut batches) = (Instant::now(), Vec::new());
    while begun.elapsed() < DISTURBED || batches.len() < BATCHES {
        trouble.wait(20).await;
        match trouble.choose(4) {
            0 | 1 if batches.len() < BATCHES => batches.push(world.create(&names).await),
            2 if !batches.is_empty() => {
                let chosen = &batches[trouble.choose(batches.len() as u64) as usize];
                // One that has ended refuses.
                let _ = world.store.cancel_batch(&world.ctx(), chosen, None).await;
            }
            _ => {
                let killed = &mut workers[trouble.choose(WORKERS as u64) as usize];
                killed.abort();
                *killed = world.work_through(&trouble);
            }
        }
    }
    trouble.over.send_replace(true);

    let over = Instant::now();
    let bound = LINE_LEASE.to_std().unwrap() + worker::LOOK + Duration::from_secs(5);
    for id in &batches {
        let ended = tokio::time::timeout_at(over + bound, world.ended(id)).await;
        let Ok((_, output, errors)) = ended else {
            panic!("seed {seed}: {:?} goes on after {bound:?}", world.read(id).await)
        };
        let failed = errors.iter().map(|line| line["custom_id"].as_str().unwrap());
        let mut told: Vec<_> = output.iter().map(String::as_str).chain(failed).collect();
        told.sort_unstable();
        assert_eq!(told, names, "seed {seed}: each line of {id} has one end");
    }
    workers.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn whatever_happened_a_batch_ends_within_a_lease_and_a_look() {
    for seed in 0..HISTORIES {
        history(seed).await;
    }
}
