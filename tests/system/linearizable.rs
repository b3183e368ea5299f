//! Appends stay linearizable whatever the network does: 64 writers, few branches, faults, and a restart in the middle.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zumik_client::types::{BranchId, EventType, NewEvent, Patch, SessionId};
use zumik_client::{BranchPosition, Zumik};
use zumik_tests::faults::FaultyProxy;
use zumik_tests::history::{self, Call, Moments, Outcome, Tally};
use zumik_tests::{log, seed, server};

const WRITERS: usize = 64;
const BRANCHES: usize = 3;
/// Calls of each writer.
const CALLS: usize = 24;

/// A writer on one branch.
struct Writer {
    number: usize,
    zk: Zumik,
    session: SessionId,
    branch: BranchId,
    moments: Arc<Moments>,
    random: fastrand::Rng,
    calls: Vec<Call>,
}

impl Writer {
    /// Appends again and again, from wherever it was told that the branch is.
    async fn run(mut self, done: mpsc::Sender<()>) -> Self {
        let mut position = BranchPosition::new(0, None);
        for call in 0..CALLS {
            position = match self.append(call, position).await {
                Some(position) => position,
                None => self.read().await,
            };
            // Who counts has gone when half of the calls are done.
            let _ = done.send(()).await;
        }
        self
    }

    /// One append; gives where the branch was then, if that is known.
    async fn append(&mut self, call: usize, mut expected: BranchPosition) -> Option<BranchPosition> {
        if self.random.u8(..10) == 0 {
            // A guard that is wrong, or was right once.
            expected.version = expected.version.saturating_sub(1);
        }
        let mark = format!("append-{}-{call}", self.number);
        let event = NewEvent::new(EventType::Note).payload_ref(&mark);
        let head = expected.head.clone().map_or(Patch::Null, Patch::Value);
        let began = self.moments.now();
        let call = self.zk.events().append(&self.session, &self.branch, expected.version, event);
        let answer = call.expected_head_event_id(head).await;
        let (outcome, position) = match answer {
            Ok(event) => {
                let position = BranchPosition::new(event.sequence, Some(event.id.clone()));
                (Outcome::Appended { mark, expected, event: Box::new(event) }, Some(position))
            }
            Err(error) => match error.branch_conflict() {
                Some(conflict) => {
                    let current = conflict.current.clone().expect("the server says where the branch is");
                    (Outcome::Refused { mark, expected, current: current.clone() }, Some(current))
                }
                None => {
                    assert!(
                        error.is_retryable(),
                        "only what would be repeated ends without an answer: {error}"
                    );
                    (Outcome::Unknown { mark }, None)
                }
            },
        };
        self.calls.push(Call { began, ended: self.moments.now(), outcome });
        position
    }

    async fn read(&mut self) -> BranchPosition {
        loop {
            let began = self.moments.now();
            if let Ok(branch) = self.zk.branches().retrieve(&self.session, &self.branch).await {
                let position = BranchPosition::new(branch.version, branch.head_event_id);
                let outcome = Outcome::Read(position.clone());
                self.calls.push(Call { began, ended: self.moments.now(), outcome });
                return position;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_are_linearizable_through_faults_and_a_restart() {
    let seed = seed("linearizable appends");
    let server = server::durable().await;
    let direct = server.client();
    let session = direct.sessions().create().await.expect("a session");
    let mut branches = vec![session.default_branch_id.clone()];
    while branches.len() < BRANCHES {
        let fork = direct.branches().fork(&session.id, &session.default_branch_id).await;
        branches.push(fork.expect("a fork").id);
    }
    let proxy = FaultyProxy::start(server.url(), seed).await;
    let moments = Arc::new(Moments::default());
    let (done, mut counted) = mpsc::channel(WRITERS);
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        // A client each: connections and the budget for retries are not shared.
        let zk = Zumik::builder()
            .base_url(proxy.url())
            .api_key(server.api_key())
            .max_retries(6)
            .attempt_timeout(Duration::from_secs(5))
            .build()
            .expect("a client");
        let writer = Writer {
            number,
            zk,
            session: session.id.clone(),
            branch: branches[number % BRANCHES].clone(),
            moments: Arc::clone(&moments),
            random: fastrand::Rng::with_seed(seed.wrapping_add(number as u64)),
            calls: Vec::new(),
        };
        writers.spawn(writer.run(done.clone()));
    }
    for _ in 0..WRITERS * CALLS / 2 {
        counted.recv().await.expect("the writers go on");
    }
    drop(counted);
    let server = server.restart().await;
    proxy.redirect(server.url());
    let writers = writers.join_all().await;

    let zk = server.client();
    for branch in &branches {
        let log = log::read(&zk, &session.id, branch).await.expect("the history");
        let calls: Vec<Call> = writers
            .iter()
            .filter(|writer| writer.branch == *branch)
            .flat_map(|writer| writer.calls.clone())
            .collect();
        let Tally { appended, refused, .. } = history::check(&log, &calls);
        assert!(appended > 0 && refused > 0, "the writers met: {appended} appended, {refused} refused");
    }
}
