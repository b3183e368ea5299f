//! The durable store answers any sequence of commands as the model does.

use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::Serialize;
use serde_json::Value;
use zumik_types::{
    AppendEventRequest, ArtifactId, ArtifactType, BranchId, BundleId, BundleItem, CreateArtifactRequest,
    CreateBundleRequest, CreatePurgeJobRequest, CreateSessionRequest, CreateSnapshotRequest, EventId,
    EventType, ForkBranchRequest, MergeBranchRequest, MergeStrategy, NewEvent, Patch, RetentionClass,
    SessionId, SessionStatus, SnapshotId, SortOrder, UpdateSessionRequest,
};

use super::world::{World, key};
use crate::domain::Prompt;
use crate::store::{EventPage, Page, PromptState, Result, Written};

#[derive(Debug, Clone)]
enum Command {
    CreateArtifact { kind: usize, ephemeral: bool, key: Option<u8> },
    DeleteArtifact(Index),
    CreateBundle(Vec<Index>),
    DeleteBundle(Index),
    CreateSession(Vec<Index>),
    Archive(Index, bool),
    DeleteSession(Index),
    Append { branch: Index, behind: u64, head: bool, payload: Option<Index>, key: Option<u8> },
    Fork { branch: Index, event: Option<Index> },
    Merge { target: Index, source: Index, strategy: usize, payload: Option<Index>, behind: u64 },
    Snapshot { branch: Index, artifacts: Vec<Index>, events: Vec<Index> },
    ReadEvents { branch: Index, after: Option<Index>, limit: u32, falling: bool },
    ReadPrompt { branch: Option<Index>, bundle: Option<Index>, snapshot: Option<Index> },
    Purge(Vec<Index>),
    Advance(i64),
    Sweep,
}

fn command() -> impl Strategy<Value = Command> {
    let index = any::<Index>;
    let some = || proptest::option::of(any::<Index>());
    let few = || proptest::collection::vec(any::<Index>(), 0..3);
    let behind = || prop_oneof![9 => Just(0_u64), 1 => 1..3_u64];
    let kept = || proptest::option::weighted(0.3, 0..4_u8);
    prop_oneof![
        4 => (0..3_usize, any::<bool>(), kept())
            .prop_map(|(kind, ephemeral, key)| Command::CreateArtifact { kind, ephemeral, key }),
        1 => index().prop_map(Command::DeleteArtifact),
        2 => few().prop_map(Command::CreateBundle),
        1 => index().prop_map(Command::DeleteBundle),
        2 => few().prop_map(Command::CreateSession),
        1 => (index(), any::<bool>()).prop_map(|(session, archive)| Command::Archive(session, archive)),
        1 => index().prop_map(Command::DeleteSession),
        20 => (index(), behind(), any::<bool>(), some(), kept()).prop_map(
            |(branch, behind, head, payload, key)| Command::Append { branch, behind, head, payload, key }
        ),
        6 => (index(), some()).prop_map(|(branch, event)| Command::Fork { branch, event }),
        6 => (index(), index(), 0..4_usize, some(), behind()).prop_map(
            |(target, source, strategy, payload, behind)| {
                Command::Merge { target, source, strategy, payload, behind }
            }
        ),
        3 => (index(), few(), few())
            .prop_map(|(branch, artifacts, events)| Command::Snapshot { branch, artifacts, events }),
        8 => (index(), some(), 1..9_u32, any::<bool>()).prop_map(
            |(branch, after, limit, falling)| Command::ReadEvents { branch, after, limit, falling }
        ),
        4 => (some(), some(), proptest::option::weighted(0.3, index()))
            .prop_map(|(branch, bundle, snapshot)| Command::ReadPrompt { branch, bundle, snapshot }),
        1 => proptest::collection::vec(any::<Index>(), 1..3).prop_map(Command::Purge),
        1 => (1..30_i64).prop_map(Command::Advance),
        1 => Just(Command::Sweep),
    ]
}

/// A store with the ids it has given, in the order of the commands.
struct Run {
    world: World,
    artifacts: Vec<ArtifactId>,
    bundles: Vec<BundleId>,
    sessions: Vec<SessionId>,
    branches: Vec<(SessionId, BranchId)>,
    events: Vec<EventId>,
    snapshots: Vec<SnapshotId>,
    /// Ids in the order in which they came up: they differ between stores, their order does not.
    names: Vec<String>,
}

fn pick<T>(list: &[T], index: Index) -> Option<&T> {
    (!list.is_empty()).then(|| index.get(list))
}

fn picked<T: Clone>(list: &[T], indexes: &[Index]) -> Vec<T> {
    indexes.iter().filter_map(|index| pick(list, *index).cloned()).collect()
}

impl Run {
    fn new(world: World) -> Self {
        let (artifacts, bundles, sessions) = (Vec::new(), Vec::new(), Vec::new());
        let (branches, events, snapshots, names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { world, artifacts, bundles, sessions, branches, events, snapshots, names }
    }

    /// Runs a command; gives what it came to, with ids replaced by the order of their coming up.
    async fn step(&mut self, command: &Command) -> String {
        let (world, ctx) = (self.world.clone(), self.world.ctx());
        let store = &world.store;
        match command {
            Command::CreateArtifact { kind, ephemeral, key: kept } => {
                let kinds = [ArtifactType::Document, ArtifactType::Checkpoint, ArtifactType::CompactionSummary];
                let mut request = CreateArtifactRequest::new(&kinds[*kind], "text");
                if *ephemeral {
                    request = request.retention_class(RetentionClass::Ephemeral);
                }
                let kept = kept.and_then(|kept| key("/v2/artifacts", &kept.to_string(), &format!("{request:?}")));
                let written = store.create_artifact(&ctx, request, kept).await;
                self.note(written, |run, artifact| run.artifacts.push(artifact.id.clone()))
            }
            Command::DeleteArtifact(artifact) => match pick(&self.artifacts, *artifact) {
                Some(id) => text(store.delete_artifact(&ctx, id).await, &mut self.names),
                None => String::new(),
            },
            Command::CreateBundle(artifacts) => {
                let artifacts = picked(&self.artifacts, artifacts);
                let items = artifacts.iter().map(|id| BundleItem::new(id, "context"));
                let written = store.create_bundle(&ctx, CreateBundleRequest::new(items), None).await;
                self.note(written, |run, bundle| run.bundles.push(bundle.id.clone()))
            }
            Command::DeleteBundle(bundle) => match pick(&self.bundles, *bundle) {
                Some(id) => text(store.delete_bundle(&ctx, id).await, &mut self.names),
                None => String::new(),
            },
            Command::CreateSession(bundles) => {
                let bundles = picked(&self.bundles, bundles);
                let request = CreateSessionRequest::new().base_bundle_ids(&bundles);
                let written = store.create_session(&ctx, request, None).await;
                self.note(written, |run, session| {
                    run.sessions.push(session.id.clone());
                    run.branches.push((session.id.clone(), session.default_branch_id.clone()));
                })
            }
            Command::Archive(session, archive) => match pick(&self.sessions, *session) {
                Some(id) => {
                    let status = if *archive { SessionStatus::Archived } else { SessionStatus::Active };
                    let request = UpdateSessionRequest::new(status);
                    let written = store.update_session(&ctx, id, request, None).await;
                    self.note(written, |_, _| {})
                }
                None => String::new(),
            },
            Command::DeleteSession(session) => match pick(&self.sessions, *session) {
                Some(id) => text(store.delete_session(&ctx, id).await, &mut self.names),
                None => String::new(),
            },
            Command::Append { branch, behind, head, payload, key: kept } => {
                let Some((session, branch)) = pick(&self.branches, *branch).cloned() else { return String::new() };
                let (version, current) = self.version(&session, &branch).await;
                let mut event = NewEvent::new(EventType::UserMessage);
                event.payload_ref = payload.and_then(|index| pick(&self.artifacts, index)).map(String::from);
                let mut request = AppendEventRequest::new(version.saturating_sub(*behind), event);
                if *head {
                    request.expected_head_event_id = Patch::from(current);
                }
                let kept = kept.and_then(|kept| key(branch.as_str(), &kept.to_string(), ""));
                let written = store.append_event(&ctx, &session, &branch, request, kept).await;
                self.note(written, |run, event| run.events.push(event.id.clone()))
            }
            Command::Fork { branch, event } => {
                let Some((session, branch)) = pick(&self.branches, *branch).cloned() else { return String::new() };
                let mut request = ForkBranchRequest::new(&branch);
                request.fork_from_event_id = event.and_then(|index| pick(&self.events, index)).cloned();
                let written = store.fork_branch(&ctx, &session, request, None).await;
                self.note(written, |run, fork| run.branches.push((fork.session_id.clone(), fork.id.clone())))
            }
            Command::Merge { target, source, strategy, payload, behind } => {
                let Some((session, target)) = pick(&self.branches, *target).cloned() else { return String::new() };
                // A source of the same session, mostly.
                let same: Vec<_> = self.branches.iter().filter(|(of, _)| *of == session).collect();
                let (_, source) = source.get(&same);
                let strategies = [
                    MergeStrategy::Checkpoint,
                    MergeStrategy::Compact,
                    MergeStrategy::Rebase,
                    MergeStrategy::Fork,
                ];
                let (version, _) = self.version(&session, &target).await;
                let version = version.saturating_sub(*behind);
                let mut request = MergeBranchRequest::new(source, &strategies[*strategy], version);
                request.payload_ref = payload.and_then(|index| pick(&self.artifacts, index)).cloned();
                if *strategy > 1 && payload.is_some_and(|index| index.index(4) > 0) {
                    request.payload_ref = None;
                }
                let written = store.merge_branch(&ctx, &session, &target, request, None).await;
                self.note(written, |run, merge| {
                    run.events.extend(merge.appended.iter().map(|event| event.id.clone()));
                    if merge.strategy == MergeStrategy::Fork {
                        run.branches.push((session.clone(), merge.target_branch.id.clone()));
                    }
                })
            }
            Command::Snapshot { branch, artifacts, events } => {
                let Some((session, branch)) = pick(&self.branches, *branch).cloned() else { return String::new() };
                let artifacts = picked(&self.artifacts, artifacts);
                let events = picked(&self.events, events);
                let manifest = artifacts.iter().map(String::from).chain(events.iter().map(String::from));
                let request = CreateSnapshotRequest::new().ordered_block_manifest(manifest);
                let written = store.create_snapshot(&ctx, &session, &branch, request, None).await;
                self.note(written, |run, snapshot| run.snapshots.push(snapshot.id.clone()))
            }
            Command::ReadEvents { branch, after, limit, falling } => {
                let Some((session, branch)) = pick(&self.branches, *branch) else { return String::new() };
                let after = after.and_then(|index| pick(&self.events, index)).cloned();
                let order = if *falling { SortOrder::Desc } else { SortOrder::Asc };
                let page = EventPage { after, limit: *limit, order };
                let read = store.list_events(&ctx, session, branch, page).await;
                text(read.map(|Page { data, has_more }| (data, has_more)), &mut self.names)
            }
            Command::ReadPrompt { branch, bundle, snapshot } => {
                let state = PromptState {
                    session_id: None,
                    branch_id: branch.and_then(|index| pick(&self.branches, index)).map(|(_, id)| id.clone()),
                    bundle_id: bundle.and_then(|index| pick(&self.bundles, index)).cloned(),
                    snapshot_id: snapshot.and_then(|index| pick(&self.snapshots, index)).cloned(),
                };
                let read = store.read_prompt(&ctx, state).await;
                text(read.map(|prompt| shown(&prompt)), &mut self.names)
            }
            Command::Purge(artifacts) => {
                let artifacts = picked(&self.artifacts, artifacts);
                if artifacts.is_empty() {
                    return String::new();
                }
                let request = CreatePurgeJobRequest::new(&artifacts);
                let written = store.create_purge_job(&ctx, request, None).await;
                self.note(written, |_, _| {})
            }
            Command::Advance(hours) => {
                world.advance(TimeDelta::hours(*hours));
                String::new()
            }
            Command::Sweep => {
                let swept = store.sweep(ctx.now).await.unwrap();
                format!("{} {}", swept.artifacts, swept.answers)
            }
        }
    }

    /// Everything that can be read, at the end.
    async fn export(&mut self) -> Vec<String> {
        let (world, ctx) = (self.world.clone(), self.world.ctx());
        let mut lines = vec![text(world.store.list_artifacts(&ctx).await, &mut self.names)];
        for id in &self.bundles {
            lines.push(text(world.store.retrieve_bundle(&ctx, id).await, &mut self.names));
        }
        for id in &self.sessions {
            lines.push(text(world.store.retrieve_session(&ctx, id).await, &mut self.names));
            lines.push(text(world.store.list_branches(&ctx, id).await, &mut self.names));
        }
        for (session, branch) in &self.branches {
            let page = EventPage { after: None, limit: 1000, order: SortOrder::Asc };
            let events = world.store.list_events(&ctx, session, branch, page).await;
            lines.push(text(events.map(|page| page.data), &mut self.names));
            lines.push(text(world.store.list_snapshots(&ctx, session, branch).await, &mut self.names));
        }
        lines
    }

    async fn version(&self, session: &SessionId, branch: &BranchId) -> (u64, Option<EventId>) {
        match self.world.store.retrieve_branch(&self.world.ctx(), session, branch).await {
            Ok(branch) => (branch.version, branch.head_event_id),
            Err(_) => (0, None),
        }
    }

    fn note<T: Serialize>(&mut self, written: Result<Written<T>>, keep: impl FnOnce(&mut Self, &T)) -> String {
        if let Ok(Written::Fresh { value, .. }) = &written {
            keep(self, value);
        }
        let replay = written.as_ref().is_ok_and(Written::is_replay);
        let body = written.map(|written| serde_json::from_slice::<Value>(&written.answer().body).unwrap());
        format!("{replay} {}", text(body, &mut self.names))
    }
}

fn shown(prompt: &Prompt) -> Value {
    let blocks = prompt.blocks.iter().map(|block| {
        serde_json::json!([format!("{:?}", block.source), block.artifact_id, block.text, block.param])
    });
    serde_json::json!([prompt.session_id, prompt.branch_id, Value::from_iter(blocks)])
}

/// A result as text, each id replaced by its place in `names`.
fn text<T: Serialize>(result: Result<T>, names: &mut Vec<String>) -> String {
    let text = match result {
        Ok(value) => serde_json::to_string(&value).unwrap(),
        Err(error) => format!("error: {error}"),
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut shown = String::new();
    for part in text.split_inclusive(|c| !word(c)) {
        let name = part.trim_end_matches(|c| !word(c));
        if name.len() >= 29 && name.contains('_') {
            let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            shown.push_str(&format!("#{at}{}", &part[name.len()..]));
        } else {
            shown.push_str(part);
        }
    }
    shown
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_commands_give_the_same_answers_and_the_same_state(
        commands in proptest::collection::vec(command(), 1..120)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut model = Run::new(World::memory().await);
            let mut durable = Run::new(World::sqlite().await);
            for command in &commands {
                let expected = model.step(command).await;
                prop_assert_eq!(durable.step(command).await, expected, "{:?}", command);
            }
            prop_assert_eq!(durable.export().await, model.export().await);
            Ok(())
        })?;
    }
}
