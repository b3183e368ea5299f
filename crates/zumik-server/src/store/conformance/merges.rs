use zumik_types::{
    ArtifactId, ArtifactType, BranchId, BranchMerge, Event, EventType, MergeBranchRequest, MergeStrategy,
    Patch, Session,
};

use super::world::{World, conflict, fresh, not_found, reference};
use crate::store::{Guard, Result, Written};

/// A session with two common events, one more on the root, three on a fork.
struct Diverged {
    session: Session,
    root: BranchId,
    fork: BranchId,
    own: Vec<Event>,
}

impl Diverged {
    async fn new(world: &World) -> Self {
        let (session, _) = world.history(2).await;
        let (id, root) = (&session.id, session.default_branch_id.clone());
        let fork = world.fork(id, &root).await.id;
        world.append(id, &root, None).await;
        let artifact = world.document("text").await;
        let mut own = Vec::new();
        for payload in [Some(&artifact), None, Some(&artifact)] {
            own.push(world.append(id, &fork, payload).await);
        }
        Self { root, fork, own, session }
    }

    async fn merge(&self, world: &World, request: MergeBranchRequest) -> Result<Written<BranchMerge>> {
        world.store.merge_branch(&world.ctx(), &self.session.id, &self.root, request, None).await
    }

    fn request(&self, strategy: MergeStrategy) -> MergeBranchRequest {
        MergeBranchRequest::new(&self.fork, strategy, 3)
    }
}

async fn summary(world: &World, strategy: MergeStrategy, kind: ArtifactType) {
    let diverged = Diverged::new(world).await;
    let before = world.events(&diverged.session.id, &diverged.root).await;
    let payload = world.artifact(kind, "what happened").await;
    let request = diverged.request(strategy.clone()).payload_ref(&payload);
    let merge = fresh(diverged.merge(world, request).await);
    assert_eq!((merge.strategy, &merge.source_branch_id), (strategy, &diverged.fork));
    let [event] = &merge.appended[..] else { panic!("{:?}", merge.appended) };
    assert_eq!((event.sequence, &event.event_type), (4, &EventType::Checkpoint));
    assert_eq!(event.payload_ref.as_deref(), Some(payload.as_str()));
    assert_eq!(event.parent_event_id, before.last().map(|event| event.id.clone()));
    let from = event.merged_from.as_ref().unwrap();
    assert_eq!((&from.branch_id, &from.event_id), (&diverged.fork, &diverged.own[2].id));
    assert_eq!(merge.target_branch, world.branch(&diverged.session.id, &diverged.root).await);
    assert_eq!((merge.target_branch.version, merge.target_branch.head_event_id), (4, Some(event.id.clone())));
    assert_eq!(world.events(&diverged.session.id, &diverged.root).await[3], *event);
    assert_eq!(world.branch(&diverged.session.id, &diverged.fork).await.version, 5);
}

pub(super) async fn a_checkpoint_appends_one_event(world: World) {
    summary(&world, MergeStrategy::Checkpoint, ArtifactType::Checkpoint).await;
}

pub(super) async fn a_compaction_appends_one_checkpoint(world: World) {
    summary(&world, MergeStrategy::Compact, ArtifactType::CompactionSummary).await;
}

fn check_copies(copies: &[Event], originals: &[Event], source: &BranchId, first: u64) {
    assert_eq!(copies.len(), originals.len());
    for ((copy, original), sequence) in copies.iter().zip(originals).zip(first..) {
        assert_eq!((&copy.event_type, &copy.payload_ref), (&original.event_type, &original.payload_ref));
        assert_eq!(copy.sequence, sequence);
        let from = copy.merged_from.as_ref().unwrap();
        assert_eq!((&from.branch_id, &from.event_id), (source, &original.id));
    }
}

pub(super) async fn a_rebase_appends_copies_in_order(world: World) {
    let diverged = Diverged::new(&world).await;
    let source = world.events(&diverged.session.id, &diverged.fork).await;
    let request = diverged.request(MergeStrategy::Rebase);
    let merge = fresh(diverged.merge(&world, request).await);
    check_copies(&merge.appended, &diverged.own, &diverged.fork, 4);
    assert!(merge.appended.iter().all(|event| event.branch_id == diverged.root));
    assert_eq!(merge.target_branch.version, 6);
    let history = world.events(&diverged.session.id, &diverged.root).await;
    assert_eq!((history.len(), &history[3..]), (6, &merge.appended[..]));
    assert_eq!(world.events(&diverged.session.id, &diverged.fork).await, source);
}

pub(super) async fn a_fork_merge_leaves_both_branches_alone(world: World) {
    let diverged = Diverged::new(&world).await;
    let id = &diverged.session.id;
    let (root, fork) = (world.events(id, &diverged.root).await, world.events(id, &diverged.fork).await);
    let merge = fresh(diverged.merge(&world, diverged.request(MergeStrategy::Fork)).await);
    let third = &merge.target_branch;
    assert!(third.id != diverged.root && third.id != diverged.fork);
    assert_eq!(third.parent_branch_id.as_ref(), Some(&diverged.root));
    assert_eq!(third.forked_from_event_id.as_ref(), Some(&root[2].id));
    assert_eq!(*third, world.branch(id, &third.id).await);
    check_copies(&merge.appended, &diverged.own, &diverged.fork, 4);
    let history = world.events(id, &third.id).await;
    assert_eq!((&history[..3], &history[3..]), (&root[..], &merge.appended[..]));
    assert_eq!(world.events(id, &diverged.root).await, root);
    assert_eq!(world.events(id, &diverged.fork).await, fork);
}

pub(super) async fn a_merge_without_common_history_takes_the_whole_source(world: World) {
    let session = world.session().await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let fork = world.fork(id, root).await.id;
    let source = [world.append(id, &fork, None).await, world.append(id, &fork, None).await];
    world.append(id, root, None).await;
    let request = MergeBranchRequest::new(&fork, MergeStrategy::Rebase, 1);
    let merge = fresh(world.store.merge_branch(&world.ctx(), id, root, request, None).await);
    check_copies(&merge.appended, &source, &fork, 2);
}

pub(super) async fn a_merge_of_nothing_new_is_refused(world: World) {
    let (session, _) = world.history(2).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let fork = world.fork(id, root).await.id;
    let payload = world.artifact(ArtifactType::Checkpoint, "text").await;
    world.append(id, root, None).await;
    let rebase = MergeBranchRequest::new(&fork, MergeStrategy::Rebase, 3);
    let checkpoint = MergeBranchRequest::new(&fork, MergeStrategy::Checkpoint, 3).payload_ref(&payload);
    for request in [rebase, checkpoint] {
        let refused = world.store.merge_branch(&world.ctx(), id, root, request, None).await;
        reference(refused, "source_branch_id");
    }
    assert_eq!(world.branch(id, root).await.version, 3);
}

pub(super) async fn a_merge_checks_its_source_and_payload(world: World) {
    let diverged = Diverged::new(&world).await;
    let (other, _) = world.history(1).await;
    for source in [&diverged.root, &other.default_branch_id, &BranchId::with_suffix("none")] {
        let request = MergeBranchRequest::new(source, MergeStrategy::Rebase, 3);
        reference(diverged.merge(&world, request).await, "source_branch_id");
    }
    let document = world.document("text").await;
    let checkpoint = world.artifact(ArtifactType::Checkpoint, "text").await;
    let missing = ArtifactId::with_suffix("none");
    let request = |strategy| diverged.request(strategy);
    for request in [
        request(MergeStrategy::Checkpoint),
        request(MergeStrategy::Compact),
        request(MergeStrategy::Checkpoint).payload_ref(&document),
        request(MergeStrategy::Compact).payload_ref(&checkpoint),
        request(MergeStrategy::Checkpoint).payload_ref(&missing),
        request(MergeStrategy::Rebase).payload_ref(&checkpoint),
        request(MergeStrategy::Fork).payload_ref(&checkpoint),
    ] {
        reference(diverged.merge(&world, request).await, "payload_ref");
    }
    let none = BranchId::with_suffix("none");
    let request = diverged.request(MergeStrategy::Rebase);
    not_found(world.store.merge_branch(&world.ctx(), &diverged.session.id, &none, request, None).await);
}

pub(super) async fn a_stale_merge_changes_nothing(world: World) {
    let diverged = Diverged::new(&world).await;
    let id = &diverged.session.id;
    let before = world.store.list_branches(&world.ctx(), id).await.unwrap();
    for strategy in [MergeStrategy::Rebase, MergeStrategy::Fork] {
        let mut request = diverged.request(strategy);
        request.expected_version = 2;
        let state = conflict(diverged.merge(&world, request.clone()).await, Guard::Version(2));
        assert_eq!((&state.id, state.version), (&diverged.root, 3));
        request.expected_version = 3;
        request.expected_head_event_id = Patch::Null;
        conflict(diverged.merge(&world, request).await, Guard::Head);
    }
    assert_eq!(world.store.list_branches(&world.ctx(), id).await.unwrap(), before);
}
