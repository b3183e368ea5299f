//! Servers on one PostgreSQL, killed under load: one of them, all of them, the database, or everything at once.

use std::path::PathBuf;
use std::time::Instant;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zumik_client::Zumik;
use zumik_client::types::Guarantee;
use zumik_test_postgres::Postgres;

use super::{Done, KILLS_PER_STORE, LANES, Lane, MOST, Plan, Totals, check, client};
use crate::http::Http;
use crate::process::ServeProcess;

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Database,
    Server(usize),
    Servers,
    Everything,
}

const VICTIMS: [Victim; 5] =
    [Victim::Database, Victim::Server(0), Victim::Server(1), Victim::Servers, Victim::Everything];

/// As [`run`](super::run), on two servers over one database. Nothing is killed where PostgreSQL is not installed.
///
/// # Panics
/// With the first thing that was lost, made up or made twice, and when a server does not recover by itself.
pub async fn run(plan: &Plan, mut progress: impl FnMut(&Totals)) -> Totals {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let mut totals = Totals::default();
    while totals.kills < plan.cycles {
        let Some(mut subject) = Subject::start(plan, random.u64(..)) else { break };
        for _ in 0..KILLS_PER_STORE.min(plan.cycles - totals.kills) {
            let victim = VICTIMS[random.usize(..VICTIMS.len())];
            subject.load_and_kill(victim, random.u64(..MOST), &mut totals).await;
            subject.recover_and_check(victim, &mut totals).await;
            progress(&totals);
        }
    }
    totals
}

/// One database, its servers, and what they acknowledged.
struct Subject {
    zumik: PathBuf,
    database: Postgres,
    url: String,
    folders: [TempDir; 2],
    servers: [Option<ServeProcess>; 2],
    api_key: String,
    lanes: Vec<Lane>,
}

impl Subject {
    fn start(plan: &Plan, seed: u64) -> Option<Self> {
        let database = Postgres::durable()?;
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
        let mut subject = Self {
            zumik: plan.zumik.clone(),
            url: database.database(),
            database,
            folders,
            servers: [None, None],
            api_key: String::new(),
            lanes: (0..LANES).map(|number| Lane::elsewhere(number, seed)).collect(),
        };
        subject.start_server(0);
        let [one, two] = &subject.folders;
        // The servers of a database share its master key.
        std::fs::copy(one.path().join("master.key"), two.path().join("master.key")).expect("a copy");
        subject.start_server(1);
        Some(subject)
    }

    fn start_server(&mut self, at: usize) {
        let server = ServeProcess::start_on(&self.zumik, self.folders[at].path(), &self.url);
        if self.api_key.is_empty() {
            self.api_key.clone_from(&server.api_key);
        }
        self.servers[at] = Some(server);
    }

    fn url_of(&self, at: usize) -> &str {
        &self.servers[at].as_ref().expect("a server that runs").url
    }

    fn client_of(&self, at: usize) -> Zumik {
        client(self.url_of(at), &self.api_key)
    }

    /// Lets the lanes write through both servers, and kills when so many writes are acknowledged. Lanes that nothing
    /// happened to end after the write that they are at.
    async fn load_and_kill(&mut self, victim: Victim, enough: u64, totals: &mut Totals) {
        let before = Done::of(&self.lanes);
        let (told, mut acknowledgements) = mpsc::channel(1);
        let mut running = JoinSet::new();
        for mut lane in std::mem::take(&mut self.lanes) {
            let (zk, told) = (self.client_of(lane.number() % 2), told.clone());
            running.spawn(async move {
                lane.run(&zk, &told, |_| {}).await;
                lane
            });
        }
        for _ in 0..enough {
            acknowledgements.recv().await.expect("the lanes go on");
        }
        // Nobody waits to be counted while the kill is on its way.
        let counting = tokio::spawn(async move { while acknowledgements.recv().await.is_some() {} });
        tokio::task::block_in_place(|| self.kill(victim));
        counting.abort();
        self.lanes = running.join_all().await;
        self.lanes.sort_by_key(Lane::number);
        totals.kills += 1;
        totals.add(before, Done::of(&self.lanes));
    }

    fn kill(&mut self, victim: Victim) {
        let ends = |at: usize| match victim {
            Victim::Database => false,
            Victim::Server(server) => server == at,
            Victim::Servers | Victim::Everything => true,
        };
        if matches!(victim, Victim::Database | Victim::Everything) {
            self.database.kill();
        }
        for (at, server) in self.servers.iter_mut().enumerate() {
            if let Some(server) = server.take_if(|_| ends(at)) {
                server.kill();
            }
        }
    }

    /// Starts what was killed. A server that was not must find the database again by itself.
    async fn recover_and_check(&mut self, victim: Victim, totals: &mut Totals) {
        let started = Instant::now();
        if matches!(victim, Victim::Database | Victim::Everything) {
            tokio::task::block_in_place(|| self.database.start());
        }
        for at in [0, 1] {
            if self.servers[at].is_none() {
                self.start_server(at);
            }
        }
        for at in [0, 1] {
            Http::new(self.url_of(at), &self.api_key).until_ready(200).await;
        }
        totals.slowest_start = totals.slowest_start.max(started.elapsed());
        let (mut lanes, other) = (std::mem::take(&mut self.lanes), self.client_of(1));
        for lane in &mut lanes {
            // Whatever server it was sent to, the other one knows the key.
            if let Some(made) = lane.settle(&self.client_of((lane.number() + 1) % 2)).await {
                totals.in_flight += 1;
                totals.made += u64::from(made);
            }
        }
        check::lanes(&other, &lanes, Guarantee::HandleRevocation).await;
        self.lanes = lanes;
    }
}
