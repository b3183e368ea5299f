//! Writers that race for a few branches, and what they saw: to be held to what is there in the end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use zumik_client::types::{BranchId, EventType, NewEvent, Patch, SessionId};
use zumik_client::{BranchPosition, Zumik};

use crate::history::{self, Call, Moments, Outcome, Tally};
use crate::{log, within};

const WRITERS: usize = 64;

const BRANCHES: usize = 3;

/// Calls of each writer.
const CALLS: usize = 24;

/// Calls of all writers.
pub const ALL: usize = WRITERS * CALLS;

/// Writers at work on the branches of one session.
#[derive(Debug)]
pub struct Writers {
    running: JoinSet<Writer>,
    done: watch::Receiver<usize>,
    session: SessionId,
    branches: Vec<BranchId>,
}

impl Writers {
    /// Makes a session, and starts writers that send what they write to these base URLs in turn.
    ///
    /// # Panics
    /// The session cannot be made.
    pub async fn start(direct: &Zumik, urls: &[String], api_key: &str, seed: u64) -> Self {
        let session = direct.sessions().create().await.expect("a session");
        let mut branches = vec![session.default_branch_id.clone()];
        while branches.len() < BRANCHES {
            let fork = direct.branches().fork(&session.id, &session.default_branch_id).await;
            branches.push(fork.expect("a fork").id);
        }
        let moments = Arc::new(Moments::default());
        let (told, done) = watch::channel(0);
        let told = Arc::new(told);
        let mut running = JoinSet::new();
        for number in 0..WRITERS {
            let writer = Writer {
                number,
                zk: client(&urls[number % urls.len()], api_key),
                session: session.id.clone(),
                branch: branches[number % BRANCHES].clone(),
                moments: Arc::clone(&moments),
                random: fastrand::Rng::with_seed(seed.wrapping_add(number as u64)),
                calls: Vec::new(),
            };
            running.spawn(writer.run(Arc::clone(&told)));
        }
        Self { running, done, session: session.id, branches }
    }

    /// Waits until so many calls are done.
    ///
    /// # Panics
    /// The writers end before.
    pub async fn until(&mut self, calls: usize) {
        self.done.wait_for(|done| *done >= calls).await.expect("the writers go on");
    }

    /// Waits for the end, and holds what every writer saw to what is there.
    ///
    /// # Panics
    /// With the first thing that is wrong.
    pub async fn check(self, zk: &Zumik) {
        let writers = self.running.join_all().await;
        for branch in &self.branches {
            let log = log::read(zk, &self.session, branch).await.expect("the history");
            let calls: Vec<Call> = writers
                .iter()
                .filter(|writer| writer.branch == *branch)
                .flat_map(|writer| writer.calls.clone())
                .collect();
            let Tally { appended, refused, .. } = history::check(&log, &calls);
            assert!(appended > 0 && refused > 0, "the writers met: {appended} appended, {refused} refused");
        }
    }
}

/// A client of one writer alone: connections and the budget for retries are not shared.
fn client(url: &str, api_key: &str) -> Zumik {
    let client = Zumik::builder().base_url(url).api_key(api_key).max_retries(6);
    client.attempt_timeout(Duration::from_secs(5)).build().expect("a client")
}

/// A writer on one branch.
#[derive(Debug)]
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
    async fn run(mut self, told: Arc<watch::Sender<usize>>) -> Self {
        let mut position = BranchPosition::new(0, None);
        for call in 0..CALLS {
            position = match self.append(call, position).await {
                Some(position) => position,
                None => self.read().await,
            };
            told.send_modify(|done| *done += 1);
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
        let read = async {
            loop {
                let began = self.moments.now();
                if let Ok(branch) = self.zk.branches().retrieve(&self.session, &self.branch).await {
                    return (began, branch);
                }
            }
        };
        let (began, branch) = within("an answer that says where the branch is", read).await;
        let position = BranchPosition::new(branch.version, branch.head_event_id);
        let outcome = Outcome::Read(position.clone());
        self.calls.push(Call { began, ended: self.moments.now(), outcome });
        position
    }
}
