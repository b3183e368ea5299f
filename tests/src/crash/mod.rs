//! The server killed under load, again and again, and held to what it acknowledged.
//!
//! Lanes of mixed writes run until the server is killed at a random moment. It is started again; each lane then sends
//! the write that was in flight once more, under its key, and everything that can be read must be what was
//! acknowledged: nothing lost, nothing that nobody asked for, nothing twice.

pub(crate) mod check;
mod keys;
mod lane;
mod remains;
pub mod replicas;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zumik_client::Zumik;
use zumik_client::types::Guarantee;

use self::keys::Keys;
pub(crate) use self::lane::Lane;
pub(crate) use self::remains::Remains;
use crate::process::ServeProcess;

/// Lanes that write at once.
const LANES: usize = 12;

/// Kills that one store goes through before the next begins: what is checked grows with each.
const KILLS_PER_STORE: u64 = 20;

/// The most writes that are acknowledged before the server is killed; the fewest is none.
const MOST: u64 = 600;

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// The `zumik` command.
    pub zumik: PathBuf,
    /// Where data folders are made.
    pub folder: PathBuf,
    /// How often to kill.
    pub cycles: u64,
    /// What moments and writes follow from. Two runs of one seed still differ in their timing.
    pub seed: u64,
}

/// What a run came through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Kills.
    pub kills: u64,
    /// Writes that were acknowledged, and were there.
    pub acknowledged: u64,
    /// Writes in flight at a kill, each sent again under its key.
    pub in_flight: u64,
    /// Of these, the ones that had been made before the kill.
    pub made: u64,
    /// Artifacts purged, of which nothing was left.
    pub purged: u64,
    /// Batches, each run to its end.
    pub batches: u64,
    /// Keys made by `zumik keys create`.
    pub keys: u64,
    /// The slowest start after a kill, of everything that was killed.
    pub slowest_start: Duration,
}

/// What lanes were acknowledged until some moment.
#[derive(Debug, Default, Clone, Copy)]
struct Done {
    acknowledged: u64,
    purged: u64,
    batches: u64,
}

impl Done {
    fn of(lanes: &[Lane]) -> Self {
        lanes.iter().fold(Self::default(), |done, lane| Self {
            acknowledged: done.acknowledged + lane.acknowledged(),
            purged: done.purged + lane.purged(),
            batches: done.batches + lane.batches(),
        })
    }
}

impl Totals {
    /// Counts what was acknowledged between two moments.
    fn add(&mut self, before: Done, after: Done) {
        self.acknowledged += after.acknowledged - before.acknowledged;
        self.purged += after.purged - before.purged;
        self.batches += after.batches - before.batches;
    }
}

/// Kills and checks as often as the plan says; `progress` is told after each cycle.
///
/// # Panics
/// With the first thing that was lost, made up, made twice, or left over.
pub async fn run(plan: &Plan, mut progress: impl FnMut(&Totals)) -> Totals {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let mut totals = Totals::default();
    while totals.kills < plan.cycles {
        let mut subject = Subject::new(plan, random.u64(..)).expect("a data folder");
        let kills = KILLS_PER_STORE.min(plan.cycles - totals.kills);
        for _ in 0..kills {
            let server = subject.start_and_check(&mut totals).await;
            subject.load_and_kill(server, random.u64(..MOST), &mut totals).await;
            progress(&totals);
        }
        subject.start_and_check(&mut totals).await.kill();
    }
    totals
}

/// One data folder, and what its servers acknowledged.
struct Subject {
    zumik: PathBuf,
    data: TempDir,
    api_key: String,
    lanes: Vec<Lane>,
    keys: Keys,
    remains: Remains,
}

impl Subject {
    fn new(plan: &Plan, seed: u64) -> io::Result<Self> {
        let data = tempfile::tempdir_in(&plan.folder)?;
        let lanes = (0..LANES).map(|number| Lane::new(number, seed, data.path())).collect();
        let keys = Keys::default();
        Ok(Self {
            zumik: plan.zumik.clone(),
            data,
            api_key: String::new(),
            lanes,
            keys,
            remains: Remains::default(),
        })
    }

    fn folder(&self) -> &Path {
        self.data.path()
    }

    /// Starts a server on the folder and holds it to everything that was acknowledged.
    async fn start_and_check(&mut self, totals: &mut Totals) -> ServeProcess {
        if !self.api_key.is_empty() {
            check::integrity(self.folder());
        }
        let started = Instant::now();
        let server = ServeProcess::start(&self.zumik, self.folder());
        totals.slowest_start = totals.slowest_start.max(started.elapsed());
        if self.api_key.is_empty() {
            self.api_key.clone_from(&server.api_key);
        }
        let zk = client(&server.url, &self.api_key);
        for lane in &mut self.lanes {
            if let Some(made) = lane.settle(&zk).await {
                totals.in_flight += 1;
                totals.made += u64::from(made);
            }
        }
        check::lanes(&zk, &self.lanes, Guarantee::VerifiedNamespaceInvalidation).await;
        self.keys.check(&server.url, &self.zumik, self.data.path(), totals.kills).await;
        self.remains.extend(self.lanes.iter_mut().flat_map(Lane::take_remains));
        self.remains.check(self.folder());
        server
    }

    /// Lets the lanes write, and kills the server when so many writes are acknowledged.
    async fn load_and_kill(&mut self, server: ServeProcess, enough: u64, totals: &mut Totals) {
        let zk = client(&server.url, &self.api_key);
        let (before, keys) = (Done::of(&self.lanes), self.keys.len());
        let (told, mut acknowledgements) = mpsc::channel(1);
        let mut running = JoinSet::new();
        for mut lane in self.lanes.drain(..) {
            let (zk, told) = (zk.clone(), told.clone());
            running.spawn(async move {
                lane.run(&zk, &told, |_| {}).await;
                lane
            });
        }
        let making = self.keys.make(&self.zumik, self.data.path());
        for _ in 0..enough {
            acknowledgements.recv().await.expect("the lanes go on");
        }
        // The lanes go on until the server has gone.
        drop(acknowledgements);
        server.kill();
        self.keys.stop(making).await;
        self.lanes = running.join_all().await;
        self.lanes.sort_by_key(Lane::number);
        totals.kills += 1;
        totals.add(before, Done::of(&self.lanes));
        totals.keys += (self.keys.len() - keys) as u64;
    }
}

/// A client that repeats nothing by itself: what is in flight at a kill stays in flight.
pub(crate) fn client(url: &str, api_key: &str) -> Zumik {
    let client = Zumik::builder().base_url(url).api_key(api_key).max_retries(0);
    client.build().expect("a client")
}
