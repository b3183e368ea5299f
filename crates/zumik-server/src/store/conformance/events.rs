use zumik_types::{AppendEventRequest, ArtifactId, BranchId, EventId, EventType, NewEvent, Patch, SortOrder};

use super::world::{World, conflict, fresh, not_found, reference};
use crate::store::{EventPage, Guard, StoreError};

fn append(version: u64) -> AppendEventRequest {
    AppendEventRequest::new(version, NewEvent::new(EventType::Note))
}

pub(super) async fn appended_events_form_a_chain(world: World) {
    let session = world.session().await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let artifact = world.document("text").await;
    let mut parent = None;
    for sequence in 1..=40 {
        let event = world.append(id, root, Some(&artifact)).await;
        assert_eq!((event.sequence, &event.parent_event_id), (sequence, &parent));
        assert_eq!((&event.branch_id, &event.session_id), (root, id));
        assert_eq!(event.payload_ref.as_deref(), Some(artifact.as_str()));
        parent = Some(event.id);
    }
    let branch = world.branch(id, root).await;
    assert_eq!((branch.version, branch.head_event_id), (40, parent));
}

pub(super) async fn an_append_with_a_stale_version_reports_the_current_head(world: World) {
    let (session, events) = world.history(3).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    for version in [0, 2, 4, u64::MAX] {
        // The version is looked at first.
        let request = append(version).expected_head_event_id(Patch::Null);
        let refused = world.store.append_event(&world.ctx(), id, root, request, None).await;
        let state = conflict(refused, Guard::Version(version));
        assert_eq!((&state.id, state.version, &state.head_event_id), (root, 3, &Some(events[2].id.clone())));
    }
    assert_eq!(world.events(id, root).await, events);
}

pub(super) async fn an_append_with_a_stale_head_reports_the_current_head(world: World) {
    let (session, events) = world.history(2).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    for head in [Patch::Value(events[0].id.clone()), Patch::Null, Patch::Value(EventId::with_suffix("x"))] {
        let request = append(2).expected_head_event_id(head);
        let refused = world.store.append_event(&world.ctx(), id, root, request, None).await;
        assert_eq!(conflict(refused, Guard::Head).head_event_id, Some(events[1].id.clone()));
    }
    let request = append(2).expected_head_event_id(&events[1].id);
    fresh(world.store.append_event(&world.ctx(), id, root, request, None).await);
}

pub(super) async fn an_append_that_expects_no_head_needs_an_empty_branch(world: World) {
    let session = world.session().await;
    let request = append(0).expected_head_event_id(Patch::Null);
    let root = &session.default_branch_id;
    fresh(world.store.append_event(&world.ctx(), &session.id, root, request, None).await);
}

pub(super) async fn a_payload_that_names_a_missing_artifact_is_refused(world: World) {
    let session = world.session().await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let deleted = world.document("text").await;
    world.store.delete_artifact(&world.ctx(), &deleted).await.unwrap();
    for artifact in
        [&deleted, &ArtifactId::with_suffix("01jy7n3q8v6kzr4w2m9bd5xpfh"), &ArtifactId::with_suffix("")]
    {
        // A missing reference is reported before a stale guard.
        let event = NewEvent::new(EventType::Note).payload_ref(artifact);
        let request = AppendEventRequest::new(9, event);
        let refused = world.store.append_event(&world.ctx(), id, root, request, None).await;
        reference(refused, "event.payload_ref");
    }
    let event = NewEvent::new(EventType::Note).payload_ref("https://example.com/any text");
    let request = AppendEventRequest::new(0, event);
    let event = fresh(world.store.append_event(&world.ctx(), id, root, request, None).await);
    assert_eq!(event.payload_ref.as_deref(), Some("https://example.com/any text"));
    assert_eq!(world.events(id, root).await, [event]);
}

pub(super) async fn of_many_writers_one_wins_each_version(world: World) {
    const EVENTS: u64 = 60;
    let session = world.session().await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (world, session) = (world.clone(), session.clone());
        writers.spawn(async move {
            let (mut version, mut won) = (0, Vec::new());
            while version < EVENTS {
                let branch = &session.default_branch_id;
                match world.store.append_event(&world.ctx(), &session.id, branch, append(version), None).await
                {
                    Ok(written) => {
                        won.push(written.fresh().unwrap());
                        version += 1;
                    }
                    Err(StoreError::Conflict { branch, .. }) => version = branch.version,
                    Err(other) => panic!("{other:?}"),
                }
            }
            won
        });
    }
    let mut won: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    won.sort_by_key(|event| event.sequence);
    assert_eq!(won.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=EVENTS).collect::<Vec<_>>());
    assert_eq!(world.events(&session.id, &session.default_branch_id).await, won);
}

pub(super) async fn pages_follow_the_history_in_both_orders(world: World) {
    let (session, _) = world.history(11).await;
    let id = &session.id;
    let fork = world.fork(id, &session.default_branch_id).await.id;
    for _ in 0..7 {
        world.append(id, &fork, None).await;
    }
    let rising = world.events(id, &fork).await;
    assert_eq!(rising.len(), 18);
    let falling: Vec<_> = rising.iter().rev().cloned().collect();
    for (order, expected) in [(SortOrder::Asc, rising), (SortOrder::Desc, falling)] {
        for limit in [1, 4, 6, 17, 18, 19] {
            let (mut read, mut after) = (Vec::new(), None);
            loop {
                let page = EventPage { after, limit, order: order.clone() };
                let page = world.store.list_events(&world.ctx(), id, &fork, page).await.unwrap();
                after = page.data.last().map(|event| event.id.clone());
                read.extend(page.data);
                assert_eq!(page.has_more, read.len() < expected.len(), "{order} {limit} {}", read.len());
                if !page.has_more {
                    break;
                }
            }
            assert_eq!(read, expected, "{order} {limit}");
        }
    }
    let session = world.session().await;
    assert_eq!(world.events(&session.id, &session.default_branch_id).await, []);
}

pub(super) async fn a_page_begins_behind_an_event_of_the_history_only(world: World) {
    let (session, events) = world.history(3).await;
    let (id, root) = (&session.id, &session.default_branch_id);
    let fork = world.fork(id, root).await.id;
    let beyond = world.append(id, root, None).await.id;
    let (_, other) = world.history(1).await;
    let page = |after: &EventId, order| EventPage { after: Some(after.clone()), limit: 10, order };
    for after in [&beyond, &other[0].id, &EventId::with_suffix("none")] {
        let refused = world.store.list_events(&world.ctx(), id, &fork, page(after, SortOrder::Asc)).await;
        reference(refused, "after");
    }
    for (after, order) in [(&events[2].id, SortOrder::Asc), (&events[0].id, SortOrder::Desc)] {
        let last = world.store.list_events(&world.ctx(), id, &fork, page(after, order)).await.unwrap();
        assert_eq!((last.data.len(), last.has_more), (0, false));
    }
    let none = BranchId::with_suffix("none");
    not_found(world.store.list_events(&world.ctx(), id, &none, page(&beyond, SortOrder::Asc)).await);
}

pub(super) async fn a_deep_fork_reads_like_a_long_branch(world: World) {
    let (session, mut expected) = world.history(1).await;
    let id = &session.id;
    let mut branch = session.default_branch_id.clone();
    for _ in 0..50 {
        branch = world.fork(id, &branch).await.id;
        expected.push(world.append(id, &branch, None).await);
    }
    assert_eq!(world.events(id, &branch).await, expected);
    let page = EventPage { after: Some(expected[24].id.clone()), limit: 5, order: SortOrder::Desc };
    let page = world.store.list_events(&world.ctx(), id, &branch, page).await.unwrap();
    let middle: Vec<_> = expected[19..24].iter().rev().cloned().collect();
    assert_eq!(page.data, middle);
}
