use chrono::TimeDelta;
use serde_json::json;
use zumik_types::{
    AppendEventRequest, ArtifactType, CreateArtifactRequest, CreateSessionRequest, EventType, NewEvent,
};

use super::responses::native;
use super::world::{World, conflict, fresh, key, not_found};
use crate::store::{
    Answer, Generation, Guard, LEASE, ProjectCtx, Reserved, Result, StoreError, StoredResponse,
};

const PATH: &str = "/v2/sessions";

fn request() -> CreateSessionRequest {
    CreateSessionRequest::new()
}

fn generation(world: &World, ctx: &ProjectCtx, text: &str) -> Generation {
    let response = native(ctx, text);
    Generation {
        answer: Answer {
            headers: vec![("agent-execution-mode".into(), "placeholder".to_owned())],
            ..Answer::json(&ctx.trace, &response).unwrap()
        },
        response: Some(StoredResponse::Native(Box::new(response))),
        begun: false,
        input_items: None,
        expires_at: world.ctx().now + TimeDelta::days(30),
        materialized: Vec::new(),
    }
}

fn held(reserved: Result<Reserved>) -> crate::store::Lease {
    match reserved {
        Ok(Reserved::Held(lease)) => lease,
        other => panic!("expected a lease, found {other:?}"),
    }
}

pub(super) async fn a_repeat_gives_the_same_bytes_and_changes_nothing(world: World) {
    let k = || key(PATH, "k", "body");
    let first = world.store.create_session(&world.ctx(), request(), k()).await.unwrap();
    world.advance(TimeDelta::hours(23));
    let again = world.store.create_session(&world.ctx(), request(), k()).await.unwrap();
    assert!(!first.is_replay() && again.is_replay());
    assert_eq!(first.answer(), again.answer());
    let session = first.fresh().unwrap();
    assert_eq!(again.answer().body, serde_json::to_vec(&session).unwrap());
    assert_eq!(world.store.recall(&world.ctx(), &k().unwrap()).await.unwrap().as_ref(), Some(again.answer()));
}

pub(super) async fn a_repeat_is_answered_before_any_check(world: World) {
    let session = world.session().await;
    let branch = &session.default_branch_id;
    let append = |version| AppendEventRequest::new(version, NewEvent::new(EventType::Note));
    let first =
        world.store.append_event(&world.ctx(), &session.id, branch, append(0), key("/e", "k", "")).await;
    fresh(world.store.append_event(&world.ctx(), &session.id, branch, append(1), None).await);
    let again =
        world.store.append_event(&world.ctx(), &session.id, branch, append(0), key("/e", "k", "")).await;
    assert_eq!(again.unwrap().answer(), first.as_ref().unwrap().answer());
    let stale =
        world.store.append_event(&world.ctx(), &session.id, branch, append(0), key("/e", "l", "")).await;
    assert_eq!(conflict(stale, Guard::Version(0)).version, 2);

    world.store.delete_session(&world.ctx(), &session.id).await.unwrap();
    let again =
        world.store.append_event(&world.ctx(), &session.id, branch, append(0), key("/e", "k", "")).await;
    assert_eq!(again.unwrap().answer(), first.unwrap().answer());
}

pub(super) async fn a_key_with_another_request_is_refused(world: World) {
    fresh(world.store.create_session(&world.ctx(), request(), key(PATH, "k", "one")).await);
    let other = world.store.create_session(&world.ctx(), request(), key(PATH, "k", "two")).await;
    assert!(matches!(other, Err(StoreError::KeyReused)), "{other:?}");
    let recalled = world.store.recall(&world.ctx(), &key(PATH, "k", "two").unwrap()).await;
    assert!(matches!(recalled, Err(StoreError::KeyReused)), "{recalled:?}");
    // A reserved key too.
    held(world.store.reserve(&world.ctx(), &key(PATH, "r", "one").unwrap()).await);
    let other = world.store.create_session(&world.ctx(), request(), key(PATH, "r", "two")).await;
    assert!(matches!(other, Err(StoreError::KeyReused)), "{other:?}");
}

pub(super) async fn a_key_counts_for_one_path_of_one_project(world: World) {
    fresh(world.store.create_session(&world.ctx(), request(), key(PATH, "k", "")).await);
    fresh(world.store.create_session(&world.foreign(), request(), key(PATH, "k", "")).await);
    fresh(world.store.create_session(&world.ctx(), request(), key("/v2/other", "k", "")).await);
}

pub(super) async fn a_refused_write_leaves_its_key_free(world: World) {
    let session = world.session().await;
    let branch = &session.default_branch_id;
    let append = |version| AppendEventRequest::new(version, NewEvent::new(EventType::Note));
    let refused =
        world.store.append_event(&world.ctx(), &session.id, branch, append(7), key("/e", "k", "stale")).await;
    conflict(refused, Guard::Version(7));
    assert_eq!(world.store.recall(&world.ctx(), &key("/e", "k", "stale").unwrap()).await.unwrap(), None);
    fresh(
        world.store.append_event(&world.ctx(), &session.id, branch, append(0), key("/e", "k", "right")).await,
    );
}

pub(super) async fn an_answer_is_forgotten_after_a_day(world: World) {
    let first = fresh(world.store.create_session(&world.ctx(), request(), key(PATH, "k", "one")).await);
    world.advance(TimeDelta::hours(24));
    let second = fresh(world.store.create_session(&world.ctx(), request(), key(PATH, "k", "two")).await);
    assert_ne!(first.id, second.id);
    world.advance(TimeDelta::hours(24));
    assert_eq!(world.store.sweep(world.ctx().now).await.unwrap().answers, 1);
    assert_eq!(world.store.sweep(world.ctx().now).await.unwrap().answers, 0);
}

pub(super) async fn twins_have_one_effect(world: World) {
    let mut twins = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let world = world.clone();
        twins.spawn(async move {
            let request = CreateArtifactRequest::new(ArtifactType::Document, "text");
            world.store.create_artifact(&world.ctx(), request, key("/v2/artifacts", "k", "")).await.unwrap()
        });
    }
    let answers = twins.join_all().await;
    assert_eq!(answers.iter().filter(|answer| !answer.is_replay()).count(), 1);
    assert!(answers.iter().all(|answer| answer.answer() == answers[0].answer()));
    assert_eq!(world.store.list_artifacts(&world.ctx()).await.unwrap().len(), 1);
}

pub(super) async fn what_was_made_without_the_store_is_kept_once(world: World) {
    let keep = async |value: u64, name: &str, body: &str| {
        let key = key(PATH, name, body).unwrap();
        world.store.keep_value(&world.ctx(), json!({ "n": value }), key).await
    };
    assert_eq!(fresh(keep(1, "k", "one").await), json!({ "n": 1 }));
    let again = keep(2, "k", "one").await.unwrap();
    assert!(again.is_replay());
    assert_eq!(&again.answer().body[..], br#"{"n":1}"#);
    assert!(matches!(keep(1, "k", "two").await, Err(StoreError::KeyReused)));
    held(world.store.reserve(&world.ctx(), &key(PATH, "r", "one").unwrap()).await);
    assert!(matches!(keep(1, "r", "one").await, Err(StoreError::InFlight)));
}

pub(super) async fn a_reserved_key_is_in_flight_until_it_is_released(world: World) {
    let k = key("/v2/responses", "k", "").unwrap();
    let lease = held(world.store.reserve(&world.ctx(), &k).await);
    let twin = world.store.reserve(&world.ctx(), &k).await;
    assert!(matches!(twin, Err(StoreError::InFlight)), "{twin:?}");
    let write = world.store.create_session(&world.ctx(), request(), Some(k.clone())).await;
    assert!(matches!(write, Err(StoreError::InFlight)), "{write:?}");
    world.store.release(lease).await.unwrap();
    assert_eq!(world.store.recall(&world.ctx(), &k).await.unwrap(), None);
    held(world.store.reserve(&world.ctx(), &k).await);
}

pub(super) async fn a_lease_runs_out_unless_it_is_renewed(world: World) {
    let k = key("/v2/responses", "k", "").unwrap();
    let lease = held(world.store.reserve(&world.ctx(), &k).await);
    world.advance(LEASE / 2);
    world.store.renew(&lease, world.ctx().now).await.unwrap();
    world.advance(LEASE * 2 / 3);
    assert!(matches!(world.store.reserve(&world.ctx(), &k).await, Err(StoreError::InFlight)));
    world.advance(LEASE);
    held(world.store.reserve(&world.ctx(), &k).await);
    let renewed = world.store.renew(&lease, world.ctx().now).await;
    assert!(matches!(renewed, Err(StoreError::LeaseLost)), "{renewed:?}");
}

pub(super) async fn a_lost_lease_commits_nothing(world: World) {
    let k = key("/v2/responses", "k", "").unwrap();
    let ctx = world.ctx();
    let lost = held(world.store.reserve(&ctx, &k).await);
    world.advance(LEASE);
    let lease = held(world.store.reserve(&world.ctx(), &k).await);
    let late = generation(&world, &ctx, "late");
    let Some(StoredResponse::Native(response)) = late.response.clone() else { unreachable!() };
    let refused = world.store.commit_generation(&ctx, late, Some(lost.clone())).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
    not_found(world.store.retrieve_response(&world.ctx(), &response.id).await);
    // Releasing what is lost does not take it from its holder.
    world.store.release(lost).await.unwrap();
    let current = generation(&world, &world.ctx(), "current");
    world.store.commit_generation(&world.ctx(), current, Some(lease)).await.unwrap();
}

pub(super) async fn a_committed_generation_is_replayed(world: World) {
    let k = key("/v2/responses", "k", "").unwrap();
    let ctx = world.ctx();
    let lease = held(world.store.reserve(&ctx, &k).await);
    let generation = generation(&world, &ctx, "text");
    let (answer, response) = (generation.answer.clone(), generation.response.clone());
    world.store.commit_generation(&ctx, generation.clone(), Some(lease.clone())).await.unwrap();
    match world.store.reserve(&world.ctx(), &k).await.unwrap() {
        Reserved::Replayed(replayed) => assert_eq!(replayed, answer),
        held => panic!("expected a replay, found {held:?}"),
    }
    let Some(StoredResponse::Native(response)) = response else { unreachable!() };
    assert_eq!(world.store.retrieve_response(&ctx, &response.id).await.unwrap(), *response);
    let twice = world.store.commit_generation(&ctx, generation, Some(lease)).await;
    assert!(matches!(twice, Err(StoreError::LeaseLost)), "{twice:?}");
}
