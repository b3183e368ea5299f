//! The loss of power: what a disk that keeps only what was synchronized may leave of a server's folder.
//!
//! A server runs under load while a shim (`shim.c`) records every write, new size, name and synchronization of its files.
//! Afterwards the power goes at many moments of that record, each time with another part of what was not synchronized
//! lost, torn or out of order. From each state a server must start, and have all that had been acknowledged by then.

mod disk;
mod trace;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zumik_client::types::Guarantee;
use zumik_server::Server;

use self::disk::{Disk, Loss, Remnant};
use self::trace::{Op, What};
use crate::crash::{Lane, Remains, check, client};
use crate::preload;
use crate::process::ServeProcess;

/// Lanes that write at once.
const LANES: usize = 4;

/// Writes that are acknowledged in one recording.
const WRITES: u64 = 250;

/// States made of one recording before the next begins.
const STATES: u64 = 200;

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// The `zumik` command.
    pub zumik: PathBuf,
    /// How many states to make.
    pub states: u64,
    /// What writes, moments and losses follow from. Two runs of one seed still differ in their timing.
    pub seed: u64,
}

/// What a run came through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// States that a server started from.
    pub states: u64,
    /// Changes that were not synchronized when the power went, over all states.
    pub uncertain: u64,
    /// Acknowledged writes, each found in every state after it.
    pub acknowledged: u64,
    /// Writes in flight when the power went, over all states.
    pub in_flight: u64,
    /// Of these, the ones that the disk had kept.
    pub kept: u64,
}

/// Records and checks as often as the plan says; `progress` is told after each state.
///
/// # Panics
/// With the first thing that was lost, made up, made twice, or left over.
pub async fn run(plan: &Plan, mut progress: impl FnMut(&Totals)) -> Totals {
    let tools = tempfile::tempdir().expect("a temporary folder");
    let shim = preload::build(tools.path(), include_str!("shim.c"));
    let mut random = Rng::with_seed(plan.seed);
    let mut totals = Totals::default();
    while totals.states < plan.states {
        let recording = Recording::make(&plan.zumik, &shim, random.u64(..)).await;
        totals.acknowledged += WRITES;
        let mut disk = Disk::default();
        let mut done = 0;
        for moment in recording.moments(STATES.min(plan.states - totals.states), &mut random) {
            recording.ops[done..moment].iter().for_each(|op| disk.apply(&op.what));
            done = moment;
            let loss = choose_loss(&mut random);
            let remnant = disk.lose_power(loss, &mut random);
            totals.uncertain += disk.uncertain() as u64;
            recording.check(moment, &remnant, &mut totals).await;
            totals.states += 1;
            progress(&totals);
        }
    }
    totals
}

fn choose_loss(random: &mut Rng) -> Loss {
    match random.u8(..10) {
        0 | 1 => Loss::All,
        2 => Loss::Nothing,
        3 | 4 => Loss::Some(10),
        5..=7 => Loss::Some(50),
        _ => Loss::Some(90),
    }
}

/// The monotonic clock of the shim, in nanoseconds.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A server's life: what it did to its files, and what its clients knew when.
struct Recording {
    ops: Vec<Op>,
    api_key: String,
    /// When the key was shown.
    ready: u64,
    /// Each lane as it was before each of its writes and after each acknowledgement, by time.
    lanes: Vec<Vec<(u64, Lane)>>,
}

impl Recording {
    async fn make(zumik: &Path, shim: &Path, seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path().canonicalize().map(|path| (folder, path)).expect("a path");
        let (data, trace) = (folder.1.join("data"), folder.1.join("trace"));
        fs::create_dir(&data).expect("a folder");
        let server = ServeProcess::start_recorded(zumik, &data, shim, &trace);
        let (ready, api_key) = (now(), server.api_key.clone());
        let zk = client(&server.url, &api_key);

        let (told, mut acknowledgements) = mpsc::channel(1);
        let mut running = JoinSet::new();
        for number in 0..LANES {
            let mut lane = Lane::new(number, seed, &data);
            let (zk, told) = (zk.clone(), told.clone());
            running.spawn(async move {
                let states = Arc::new(Mutex::new(vec![(ready, lane.clone())]));
                let seen = Arc::clone(&states);
                let see = move |lane: &Lane| {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push((now(), lane.clone()));
                };
                lane.run(&zk, &told, see).await;
                let states = std::mem::take(&mut *states.lock().unwrap_or_else(PoisonError::into_inner));
                (number, states)
            });
        }
        for _ in 0..WRITES {
            acknowledgements.recv().await.expect("the lanes go on");
        }
        drop(acknowledgements);
        server.kill();
        let mut lanes = running.join_all().await;
        lanes.sort_by_key(|(number, _)| *number);
        let ops = trace::read(&trace).expect("a trace");
        assert!(ops.len() as u64 > WRITES, "only {} operations were recorded", ops.len());
        Self { ops, api_key, ready, lanes: lanes.into_iter().map(|(_, states)| states).collect() }
    }

    /// When the power goes: before so many operations, in order. Half of these moments come before a synchronization,
    /// when most is uncertain; some of the others come in the server's first start.
    fn moments(&self, count: u64, random: &mut Rng) -> Vec<usize> {
        let is_sync = |op: &Op| matches!(op.what, What::Sync { .. } | What::SyncFolder);
        let syncs: Vec<usize> = (0..self.ops.len()).filter(|place| is_sync(&self.ops[*place])).collect();
        let started = self.ops.partition_point(|op| op.time < self.ready);
        let mut moments: Vec<usize> = (0..count)
            .map(|_| match random.choice(&syncs) {
                Some(place) if random.bool() => *place,
                _ if random.u8(..5) == 0 => random.usize(..started),
                _ => random.usize(..self.ops.len()),
            })
            .collect();
        moments.sort_unstable();
        moments
    }

    /// A server starts from what is left, and has all that was acknowledged before the moment.
    async fn check(&self, moment: usize, remnant: &Remnant, totals: &mut Totals) {
        let folder = TempDir::new().expect("a temporary folder");
        disk::restore(remnant, folder.path()).expect("the state is written");
        let time = self.ops[moment].time;
        let mut lanes: Vec<Lane> = Vec::new();
        if time >= self.ready {
            check::integrity(folder.path());
            lanes.extend(self.lanes.iter().map(|states| {
                let known = states.partition_point(|(seen, _)| *seen <= time).max(1);
                states[known - 1].1.at(folder.path())
            }));
            let mut remains = Remains::default();
            remains.extend(lanes.iter_mut().flat_map(Lane::take_remains));
            remains.check(folder.path());
        }
        let server = Server::builder().data(folder.path()).start().await;
        let server = server.unwrap_or_else(|error| panic!("no server starts at operation {moment}: {error}"));
        let zk = client(server.url(), &self.api_key);
        for lane in &mut lanes {
            if let Some(kept) = lane.settle(&zk).await {
                totals.in_flight += 1;
                totals.kept += u64::from(kept);
            }
        }
        if time >= self.ready {
            check::lanes(&zk, &lanes, Guarantee::VerifiedNamespaceInvalidation).await;
        }
        server.shutdown().await;
    }
}
