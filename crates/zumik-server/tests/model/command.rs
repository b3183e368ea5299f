//! Commands as they are generated and shrunk: they name objects by their place among those made so far, and become
//! requests when their turn comes.

use chrono::TimeDelta;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use zumik_server::store::{EventPage, FilePage, PromptState};
use zumik_types::{
    AppendEventRequest, ArtifactId, ArtifactType, BranchId, BundleItem, CreateArtifactRequest,
    CreateBundleRequest, CreatePurgeJobRequest, CreateSessionRequest, CreateSnapshotRequest, EventId,
    EventType, ForkBranchRequest, MergeBranchRequest, MergeStrategy, NewEvent, Patch, RetentionClass,
    SessionId, SessionStatus, SortOrder, UpdateSessionRequest,
};

use crate::inference::{Inference, inference};
use crate::known::{Known, Pick};
use crate::request::{Request, Write};
use crate::subject::Subject;

/// Idempotency keys: few, so that they are used again.
pub(crate) const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// One step of a sequence.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Whether the other project asks.
    pub(crate) foreign: bool,
    /// Sends an earlier request again as it was, instead of the command.
    pub(crate) repeats: Option<Index>,
    /// Closes and opens the durable store before.
    pub(crate) reopen: bool,
    pub(crate) command: Command,
}

/// What a step does.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Artifact { kind: ArtifactType, class: RetentionClass, metadata: bool, text: String, key: Key },
    DeleteArtifact(Pick),
    Bundle(Vec<Pick>, Key),
    DeleteBundle(Pick),
    Session(Vec<Pick>, Key),
    Status(Pick, SessionStatus, Key),
    DeleteSession(Pick),
    Fork { from: Pick, at: Option<Pick>, key: Key },
    Append { to: Pick, guard: Guard, payload: Option<Pick>, key: Key },
    Merge { into: Pick, from: Pick, strategy: MergeStrategy, payload: Option<Pick>, guard: Guard, key: Key },
    Snapshot { of: Pick, artifacts: Vec<Pick>, events: Vec<Pick>, key: Key },
    File { content: Vec<u8>, hours: Option<i64>, key: Key },
    DeleteFile(Pick),
    ListFiles { after: Option<Pick>, limit: Option<u32>, rising: bool },
    Purge(Vec<Pick>, Key),
    ReadEvents { of: Pick, after: Option<Pick>, limit: u32, rising: bool },
    ReadPrompt { branch: Option<Pick>, bundle: Option<Pick>, snapshot: Option<Pick> },
    Reserve(&'static str),
    Renew(Index),
    Release(Index),
    Generate { lease: Option<Index>, open: bool, materialized: Vec<Pick> },
    Finish(Pick),
    Cancel(Pick, Key),
    FailOpenResponses,
    Sweep,
    Day,
    Advance(TimeDelta),
    Inference(Inference),
}

pub(crate) type Key = Option<&'static str>;

/// How a write guards the branch.
#[derive(Debug, Clone)]
pub(crate) enum Guard {
    /// By version and head, as they are.
    Right,
    /// By the version alone, as it is.
    Version,
    /// By a version so far behind, with the head as it is.
    Behind(u64),
    /// By the version as it is and this head.
    Head(Pick),
    /// By the version as it is, and no head.
    NoHead,
}

/// The strategy of steps.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    let foreign = proptest::bool::weighted(0.2);
    let repeats = option::weighted(0.1, any::<Index>());
    let reopen = proptest::bool::weighted(0.01);
    (foreign, repeats, reopen, command()).prop_map(|(foreign, repeats, reopen, command)| Step {
        foreign,
        repeats,
        reopen,
        command,
    })
}

pub(crate) fn pick() -> impl Strategy<Value = Pick> {
    (any::<Index>(), proptest::bool::weighted(0.05)).prop_map(|(index, stranger)| Pick { index, stranger })
}

fn some() -> impl Strategy<Value = Option<Pick>> {
    option::weighted(0.4, pick())
}

fn few() -> impl Strategy<Value = Vec<Pick>> {
    vec(pick(), 0..3)
}

pub(crate) fn key() -> impl Strategy<Value = Key> {
    option::weighted(0.3, select(&KEYS[..]))
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        6 => Just(Guard::Right),
        3 => Just(Guard::Version),
        1 => (1..4_u64).prop_map(Guard::Behind),
        1 => pick().prop_map(Guard::Head),
        1 => Just(Guard::NoHead),
    ]
}

fn artifact() -> impl Strategy<Value = Command> {
    use ArtifactType::{BinaryAttachment, Checkpoint, CompactionSummary, Document};
    let kind = select(vec![Document, Checkpoint, CompactionSummary, BinaryAttachment]);
    let class = select(vec![RetentionClass::Standard, RetentionClass::Ephemeral, RetentionClass::Extended]);
    let text = prop_oneof![9 => "[a-zé\"\\\\\n]{0,12}", 1 => "[a-z]{5000}"];
    (kind, class, any::<bool>(), text, key())
        .prop_map(|(kind, class, metadata, text, key)| Command::Artifact { kind, class, metadata, text, key })
}

fn merge() -> impl Strategy<Value = Command> {
    use MergeStrategy::{Checkpoint, Compact, Fork, Rebase};
    let strategy = select(vec![Checkpoint, Compact, Rebase, Fork]);
    (pick(), pick(), strategy, option::weighted(0.6, pick()), guard(), key()).prop_map(
        |(into, from, strategy, payload, guard, key)| Command::Merge {
            into,
            from,
            strategy,
            payload,
            guard,
            key,
        },
    )
}

fn advance() -> impl Strategy<Value = Command> {
    prop_oneof![
        (1..2_000_i64).prop_map(TimeDelta::milliseconds),
        (1..70_i64).prop_map(TimeDelta::seconds),
        (1..25_i64).prop_map(TimeDelta::hours),
    ]
    .prop_map(Command::Advance)
}

fn generate() -> impl Strategy<Value = Command> {
    (option::of(any::<Index>()), any::<bool>(), few())
        .prop_map(|(lease, open, materialized)| Command::Generate { lease, open, materialized })
}

fn command() -> impl Strategy<Value = Command> {
    let status = || prop_oneof![Just(SessionStatus::Archived), Just(SessionStatus::Active)];
    let content = vec(any::<u8>(), 0..40);
    prop_oneof![
        8 => artifact(),
        2 => pick().prop_map(Command::DeleteArtifact),
        4 => (few(), key()).prop_map(|(items, key)| Command::Bundle(items, key)),
        1 => pick().prop_map(Command::DeleteBundle),
        5 => (few(), key()).prop_map(|(bundles, key)| Command::Session(bundles, key)),
        2 => (pick(), status(), key()).prop_map(|(session, status, key)| Command::Status(session, status, key)),
        1 => pick().prop_map(Command::DeleteSession),
        8 => (pick(), some(), key()).prop_map(|(from, at, key)| Command::Fork { from, at, key }),
        30 => (pick(), guard(), some(), key())
            .prop_map(|(to, guard, payload, key)| Command::Append { to, guard, payload, key }),
        12 => merge(),
        5 => (pick(), few(), few(), key())
            .prop_map(|(of, artifacts, events, key)| Command::Snapshot { of, artifacts, events, key }),
        3 => (content, option::of(1..30_i64), key())
            .prop_map(|(content, hours, key)| Command::File { content, hours, key }),
        1 => pick().prop_map(Command::DeleteFile),
        2 => (some(), option::of(1..4_u32), any::<bool>())
            .prop_map(|(after, limit, rising)| Command::ListFiles { after, limit, rising }),
        3 => (vec(pick(), 1..3), key()).prop_map(|(artifacts, key)| Command::Purge(artifacts, key)),
        8 => (pick(), some(), 1..9_u32, any::<bool>())
            .prop_map(|(of, after, limit, rising)| Command::ReadEvents { of, after, limit, rising }),
        4 => (some(), some(), some())
            .prop_map(|(branch, bundle, snapshot)| Command::ReadPrompt { branch, bundle, snapshot }),
        3 => select(&KEYS[..]).prop_map(Command::Reserve),
        1 => any::<Index>().prop_map(Command::Renew),
        1 => any::<Index>().prop_map(Command::Release),
        3 => generate(),
        1 => pick().prop_map(Command::Finish),
        2 => (pick(), key()).prop_map(|(response, key)| Command::Cancel(response, key)),
        1 => Just(Command::FailOpenResponses),
        2 => Just(Command::Sweep),
        2 => Just(Command::Day),
        5 => advance(),
        60 => inference().prop_map(Command::Inference),
    ]
}

impl Command {
    /// The request that the command is now, for a project: the model says where branches are.
    pub(crate) async fn resolve(&self, model: &Subject, known: &Known, foreign: bool) -> Request {
        self.request(model, known, foreign).await.unwrap_or(Request::Nothing)
    }

    async fn request(&self, model: &Subject, known: &Known, foreign: bool) -> Option<Request> {
        let artifact = |pick: Pick| known.pick(foreign, pick, |of| &of.artifacts).map(|(id, _)| id);
        let artifacts =
            |picks: &[Pick]| -> Vec<ArtifactId> { picks.iter().copied().filter_map(artifact).collect() };
        let event = |pick: Pick| known.pick(foreign, pick, |of| &of.events);
        let branch = |pick: Pick| known.pick(foreign, pick, |of| &of.branches);
        let bundle = |pick: Pick| known.pick(foreign, pick, |of| &of.bundles);
        let session = |pick: Pick| known.pick(foreign, pick, |of| &of.sessions);
        let file = |pick: Pick| known.pick(foreign, pick, |of| &of.files);
        let response = |pick: Pick| known.pick(foreign, pick, |of| &of.responses);
        let lease =
            |index: &Index| (known.of(foreign).leases > 0).then(|| index.index(known.of(foreign).leases));
        let order = |rising: bool| if rising { SortOrder::Asc } else { SortOrder::Desc };
        let (write, key) = match self {
            Self::Artifact { kind, class, metadata, text, key } => {
                let mut request = CreateArtifactRequest::new(kind, text).retention_class(class);
                if *metadata {
                    let members = [("source".to_owned(), serde_json::json!({"n": [1, null]}))];
                    request = request.metadata(serde_json::Map::from_iter(members));
                }
                (Write::Artifact(request), key)
            }
            Self::Bundle(items, key) => {
                let items = artifacts(items).into_iter().map(|id| BundleItem::new(id, "context"));
                (Write::Bundle(CreateBundleRequest::new(items)), key)
            }
            Self::Session(bundles, key) => {
                let bundles: Vec<_> = bundles.iter().copied().filter_map(bundle).collect();
                (Write::Session(CreateSessionRequest::new().base_bundle_ids(&bundles)), key)
            }
            Self::Status(pick, status, key) => {
                (Write::Status(session(*pick)?, UpdateSessionRequest::new(status)), key)
            }
            Self::Fork { from, at, key } => {
                let (session, from) = branch(*from)?;
                let mut request = ForkBranchRequest::new(from).label("fork");
                request.fork_from_event_id = at.and_then(event);
                (Write::Fork(session, request), key)
            }
            Self::Append { to, guard, payload, key } => {
                let (session, to) = branch(*to)?;
                let (version, head) = guard.resolve(model, known, foreign, (&session, &to)).await;
                let mut event = NewEvent::new(EventType::UserMessage);
                event.payload_ref = payload.and_then(artifact).map(String::from);
                let request = AppendEventRequest::new(version, event).expected_head_event_id(head);
                (Write::Append(session, to, request), key)
            }
            Self::Merge { into, from, strategy, payload, guard, key } => {
                let (session, into) = branch(*into)?;
                let from = source(known, foreign, &session, *from)?;
                let (version, head) = guard.resolve(model, known, foreign, (&session, &into)).await;
                let mut request =
                    MergeBranchRequest::new(from, strategy, version).expected_head_event_id(head);
                request.payload_ref = payload.and_then(|pick| summary(known, foreign, strategy, pick));
                (Write::Merge(session, into, request), key)
            }
            Self::Snapshot { of, artifacts: named, events, key } => {
                let (session, of) = branch(*of)?;
                let events = events.iter().copied().filter_map(event).map(String::from);
                let manifest = artifacts(named).into_iter().map(String::from).chain(events);
                let request = CreateSnapshotRequest::new().ordered_block_manifest(manifest);
                (Write::Snapshot(session, of, request), key)
            }
            Self::File { content, hours, key } => {
                let name = "requests.jsonl".to_owned();
                (Write::File { name, content: content.clone(), hours: *hours }, key)
            }
            Self::Purge(named, key) => {
                let named = artifacts(named);
                if named.is_empty() {
                    return None;
                }
                (Write::Purge(CreatePurgeJobRequest::new(named)), key)
            }
            Self::Cancel(pick, key) => (Write::Cancel(response(*pick)?), key),
            Self::DeleteArtifact(pick) => return artifact(*pick).map(Request::DeleteArtifact),
            Self::DeleteBundle(pick) => return bundle(*pick).map(Request::DeleteBundle),
            Self::DeleteSession(pick) => return session(*pick).map(Request::DeleteSession),
            Self::DeleteFile(pick) => return file(*pick).map(Request::DeleteFile),
            Self::ListFiles { after, limit, rising } => {
                let (after, order) = (after.and_then(file), order(*rising));
                return Some(Request::ListFiles(FilePage { purpose: None, after, limit: *limit, order }));
            }
            Self::ReadEvents { of, after, limit, rising } => {
                let (session, of) = branch(*of)?;
                let page = EventPage { after: after.and_then(event), limit: *limit, order: order(*rising) };
                return Some(Request::ReadEvents(session, of, page));
            }
            Self::ReadPrompt { branch: at, bundle: base, snapshot } => {
                let snapshot = snapshot.and_then(|pick| known.pick(foreign, pick, |of| &of.snapshots));
                return Some(Request::ReadPrompt(PromptState {
                    session_id: None,
                    branch_id: at.and_then(branch).map(|(_, id)| id),
                    bundle_id: base.and_then(bundle),
                    snapshot_id: snapshot.map(|(_, _, id)| id),
                }));
            }
            Self::Reserve(name) => return Some(Request::Reserve((*name).to_owned())),
            Self::Renew(index) => return lease(index).map(Request::Renew),
            Self::Release(index) => return lease(index).map(Request::Release),
            Self::Generate { lease: index, open, materialized } => {
                // A prompt never holds what is another project's.
                let own: Vec<_> = materialized.iter().map(|pick| Pick { stranger: false, ..*pick }).collect();
                let (lease, materialized) = (index.as_ref().and_then(lease), artifacts(&own));
                return Some(Request::Generate { lease, open: *open, materialized });
            }
            Self::Finish(pick) => return response(*pick).map(Request::Finish),
            Self::FailOpenResponses => return Some(Request::FailOpenResponses),
            Self::Sweep => return Some(Request::Sweep),
            Self::Day => return Some(Request::Day),
            Self::Advance(by) => return Some(Request::Advance(*by)),
            Self::Inference(command) => return command.request(known, foreign),
        };
        Some(Request::Write(write, key.map(str::to_owned)))
    }
}

/// The source of a merge: a branch of the same session, unless a stranger is wanted.
fn source(known: &Known, foreign: bool, session: &SessionId, pick: Pick) -> Option<BranchId> {
    let branches = &known.of(foreign).branches;
    let fits = |(of, _): &&(SessionId, BranchId)| pick.stranger || of == session;
    let fitting: Vec<_> = branches.iter().filter(fits).collect();
    (!fitting.is_empty()).then(|| pick.index.get(&fitting).1.clone())
}

/// The payload of a merge: of the type that the strategy needs, unless a stranger is wanted.
fn summary(known: &Known, foreign: bool, strategy: &MergeStrategy, pick: Pick) -> Option<ArtifactId> {
    let needed = match strategy {
        MergeStrategy::Checkpoint => Some(ArtifactType::Checkpoint),
        MergeStrategy::Compact => Some(ArtifactType::CompactionSummary),
        _ => None,
    };
    let fits = |(_, kind): &&(ArtifactId, ArtifactType)| pick.stranger || needed.as_ref() == Some(kind);
    let fitting: Vec<_> = known.of(foreign).artifacts.iter().filter(fits).collect();
    (!fitting.is_empty()).then(|| pick.index.get(&fitting).0.clone())
}

impl Guard {
    async fn resolve(
        &self,
        model: &Subject,
        known: &Known,
        foreign: bool,
        (session, branch): (&SessionId, &BranchId),
    ) -> (u64, Patch<EventId>) {
        let at = model.store.retrieve_branch(&model.ctx(foreign), session, branch).await;
        let (version, head) = at.map_or((0, None), |branch| (branch.version, branch.head_event_id));
        let right = head.map_or(Patch::Null, Patch::Value);
        match self {
            Self::Right => (version, right),
            Self::Version => (version, Patch::Absent),
            Self::Behind(by) => (version.saturating_sub(*by), right),
            Self::Head(pick) => {
                let other = known.pick(foreign, *pick, |of| &of.events);
                (version, other.map_or(Patch::Null, Patch::Value))
            }
            Self::NoHead => (version, Patch::Null),
        }
    }
}
