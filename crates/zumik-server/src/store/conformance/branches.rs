use zumik_types::{BranchId, EventId, ForkBranchRequest};

use super::world::{World, fresh, reference};

pub(super) async fn a_fork_shares_the_history_up_to_its_point(world: World) {
    let (session, events) = world.history(5).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let request = ForkBranchRequest::new(root).fork_from_event_id(&events[2].id).label("other path");
    let fork = fresh(world.store.fork_branch(&world.ctx(), id, request, None).await);
    assert_eq!((fork.version, fork.label.as_deref()), (3, Some("other path")));
    assert_eq!(fork.parent_branch_id.as_ref(), Some(root));
    assert_eq!(fork.forked_from_event_id.as_ref(), Some(&events[2].id));
    assert_eq!(fork.head_event_id, fork.forked_from_event_id);
    assert_eq!(world.branch(id, &fork.id).await, fork);
    assert_eq!(world.events(id, &fork.id).await, events[..3]);

    let own = world.append(id, &fork.id, None).await;
    assert_eq!((own.sequence, own.parent_event_id.as_ref()), (4, Some(&events[2].id)));
    assert_eq!(world.events(id, root).await, events);
    let history = world.events(id, &fork.id).await;
    assert_eq!((&history[..3], &history[3]), (&events[..3], &own));
}

pub(super) async fn a_fork_of_an_empty_branch_is_empty(world: World) {
    let session = world.session().await;
    let fork = world.fork(&session.id, &session.default_branch_id).await;
    assert_eq!((fork.version, &fork.head_event_id, &fork.forked_from_event_id), (0, &None, &None));
    assert_eq!(world.events(&session.id, &fork.id).await, []);
    assert_eq!(world.append(&session.id, &fork.id, None).await.parent_event_id, None);
}

pub(super) async fn a_fork_needs_a_branch_and_an_event_of_its_session(world: World) {
    let (session, events) = world.history(2).await;
    let (other, foreign) = world.history(1).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let fork = async |request| world.store.fork_branch(&world.ctx(), id, request, None).await;
    for branch in [&other.default_branch_id, &BranchId::with_suffix("none")] {
        reference(fork(ForkBranchRequest::new(branch)).await, "fork_from_branch_id");
    }
    let young = world.fork(id, root).await.id;
    let beyond = world.append(id, root, None).await.id;
    for event in [&foreign[0].id, &EventId::with_suffix("none"), &beyond] {
        let request = ForkBranchRequest::new(&young).fork_from_event_id(event);
        reference(fork(request).await, "fork_from_event_id");
    }
    fresh(fork(ForkBranchRequest::new(&young).fork_from_event_id(&events[0].id)).await);
}

pub(super) async fn branches_are_listed_oldest_first(world: World) {
    let (session, _) = world.history(1).await;
    let mut expected = vec![session.default_branch_id.clone()];
    for _ in 0..3 {
        expected.push(world.fork(&session.id, &session.default_branch_id).await.id);
    }
    let listed = world.store.list_branches(&world.ctx(), &session.id).await.unwrap();
    assert_eq!(listed.iter().map(|branch| branch.id.clone()).collect::<Vec<_>>(), expected);
}
