//! A full or broken disk: calls on the files of a server fail under load, once, some times, or until the fault ends.
//!
//! Whatever fails, each request is answered: with a success that is kept, or with the error of the contract. When the
//! fault has ended the server goes on without a restart, and what was refused succeeds under its key, once. After a kill
//! and a start everything that was acknowledged is there.

mod control;

use std::fs;
use std::path::PathBuf;

use fastrand::Rng;
use tempfile::TempDir;
use tokio::task::JoinSet;
use zumik_client::types::Guarantee;
use zumik_client::{Error, Zumik};

use self::control::{Control, Fault, NAME, SIZE, SYNC, WRITE};
use crate::crash::{Lane, Remains, check, client};
use crate::http::Http;
use crate::process::ServeProcess;
use crate::{preload, within};

/// Lanes that write at once.
const LANES: usize = 4;

/// Writes that each lane attempts during a fault.
const ATTEMPTS: usize = 8;

/// Faults that one data folder goes through before the next begins: what is checked grows with each.
const FAULTS_PER_FOLDER: u64 = 25;

const KEY: &str = "zk_test_a_disk_that_fails_0123456789";

/// `errno` of a full disk, and of one that is broken.
const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// The `zumik` command.
    pub zumik: PathBuf,
    /// How many faults.
    pub faults: u64,
    /// What faults and writes follow from. Two runs of one seed still differ in their timing.
    pub seed: u64,
}

/// What a run came through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Faults in which a call failed.
    pub faults: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Writes that were refused, each sent again under its key.
    pub refused: u64,
    /// Writes that were acknowledged, and were there.
    pub acknowledged: u64,
    /// Kills, each followed by a start and a check.
    pub kills: u64,
    /// Starts that failed, each followed by one that did not.
    pub failed_starts: u64,
}

/// Goes through as many faults as the plan says; `progress` is told after each.
///
/// # Panics
/// With the first thing that was lost, made up or made twice, the first answer that is neither a success nor the error of
/// the contract, and the first refusal after a fault has ended.
pub async fn run(plan: &Plan, mut progress: impl FnMut(&Totals)) -> Totals {
    let tools = tempfile::tempdir().expect("a temporary folder");
    let shim = preload::build(tools.path(), include_str!("shim.c"));
    let mut random = Rng::with_seed(plan.seed);
    let (mut totals, mut rounds) = (Totals::default(), 0);
    while totals.faults < plan.faults {
        let mut subject = Subject::new(plan, shim.clone(), random.u64(..));
        let enough = plan.faults.min(totals.faults + FAULTS_PER_FOLDER);
        let mut server = subject.start(&mut totals).await;
        while totals.faults < enough {
            subject.fail(&server, &mut totals).await;
            rounds += 1;
            let faults = totals.faults;
            assert!(
                rounds < 20 * (faults + 2),
                "calls failed in {faults} of {rounds} rounds: the shim is not in the server"
            );
            if subject.random.u8(..3) == 0 {
                server = subject.kill_and_check(server, &mut totals).await;
            }
            progress(&totals);
        }
        subject.kill_and_check(server, &mut totals).await.kill();
        totals.acknowledged += subject.lanes.iter().map(Lane::acknowledged).sum::<u64>();
    }
    totals
}

/// One data folder, and what its servers acknowledged.
struct Subject {
    zumik: PathBuf,
    shim: PathBuf,
    folder: TempDir,
    data: PathBuf,
    control: Control,
    random: Rng,
    lanes: Vec<Lane>,
    remains: Remains,
}

impl Subject {
    fn new(plan: &Plan, shim: PathBuf, seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().canonicalize().expect("a path");
        let (data, control) = (root.join("data"), Control::create(&root.join("control")).expect("a file"));
        fs::create_dir(&data).expect("a folder");
        let lanes = (0..LANES).map(|number| Lane::new(number, seed, &data)).collect();
        let random = Rng::with_seed(seed);
        let zumik = plan.zumik.clone();
        Self { zumik, shim, folder, data, control, random, lanes, remains: Remains::default() }
    }

    /// A fault that begins within so many calls.
    fn choose(&mut self, within: u64) -> Fault {
        let random = &mut self.random;
        let calls = match random.u8(..4) {
            0 => u64::MAX,
            1 => random.u64(2..40),
            _ => 1,
        };
        let kinds = match random.u8(..6) {
            0 => SYNC,
            1 => WRITE,
            2 => SIZE | NAME,
            _ => WRITE | SYNC | SIZE | NAME,
        };
        let error = if random.bool() { ENOSPC } else { EIO };
        Fault { after: random.u64(..within), calls, kinds, error }
    }

    fn spawn(&self) -> Option<ServeProcess> {
        ServeProcess::start_failing(&self.zumik, &self.data, KEY, &self.shim, self.control.path())
    }

    /// Starts a server, often on a disk that fails meanwhile; then it may end, but the next one starts.
    async fn start(&mut self, totals: &mut Totals) -> ServeProcess {
        assert!(self.folder.path().exists());
        if self.random.bool() {
            let fault = self.choose(60);
            self.control.begin(fault);
            let started = self.spawn();
            self.control.end();
            if let Some(server) = started {
                return server;
            }
            totals.failed_starts += 1;
        }
        self.spawn().expect("a server starts on a disk that does not fail any more")
    }

    /// Lets the lanes write on a disk that fails, then on one that does not any more.
    async fn fail(&mut self, server: &ServeProcess, totals: &mut Totals) {
        let zk = client(&server.url, KEY);
        let fault = self.choose(150);
        let before = self.control.failed();
        self.control.begin(fault);
        let mut running = JoinSet::new();
        for mut lane in self.lanes.drain(..) {
            let zk = zk.clone();
            running.spawn(async move {
                let mut refused = 0;
                for _ in 0..ATTEMPTS {
                    refused += u64::from(attempt(&mut lane, &zk).await);
                }
                (lane, refused)
            });
        }
        let ran = running.join_all().await;
        let failed = self.control.failed() - before;
        let broken = fault.calls == u64::MAX && fault.kinds & WRITE > 0 && failed > 0;
        if broken {
            assert_eq!(
                ready(server).await,
                503,
                "{fault:?}: it says that it is ready, but nothing can be written"
            );
        }
        self.control.end();
        assert_eq!(ready(server).await, 200, "{fault:?}: it is not ready when the fault has ended");
        totals.refused += ran.iter().map(|(_, refused)| refused).sum::<u64>();
        totals.failed += failed;
        totals.faults += u64::from(failed > 0);
        self.lanes = ran.into_iter().map(|(lane, _)| lane).collect();
        self.lanes.sort_by_key(Lane::number);
        self.settle(&zk).await;
        check::contents(&zk, &self.lanes).await;
    }

    async fn kill_and_check(&mut self, server: ServeProcess, totals: &mut Totals) -> ServeProcess {
        server.kill();
        totals.kills += 1;
        check::integrity(&self.data);
        let server = self.start(totals).await;
        let zk = client(&server.url, KEY);
        check::lanes(&zk, &self.lanes, Guarantee::VerifiedNamespaceInvalidation).await;
        self.remains.extend(self.lanes.iter_mut().flat_map(Lane::take_remains));
        self.remains.check(&self.data);
        server
    }

    /// What was refused succeeds now.
    async fn settle(&mut self, zk: &Zumik) {
        for lane in &mut self.lanes {
            within("the answer to a write that is sent again", lane.settle(zk)).await;
        }
    }
}

/// Attempts a write. Whether it was refused.
async fn attempt(lane: &mut Lane, zk: &Zumik) -> bool {
    match within("the answer to a write", lane.attempt(zk)).await {
        Ok(()) => false,
        Err(error) => {
            assert!(is_clean(&error), "{error:?}");
            true
        }
    }
}

/// Whether this is what the contract says of a server that cannot do its work now.
fn is_clean(error: &Error) -> bool {
    error.status().is_some_and(|status| status == 503) && error.code() == Some("overloaded")
}

async fn ready(server: &ServeProcess) -> u16 {
    Http::new(&server.url, KEY).get("/readyz").await.status.as_u16()
}
