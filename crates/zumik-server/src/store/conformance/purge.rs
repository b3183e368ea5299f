use chrono::{Days, TimeDelta};
use serde_json::json;
use zumik_types::{
    ArtifactId, ArtifactType, CreateArtifactRequest, CreatePurgeJobRequest, CreateSessionRequest,
    CreateSnapshotRequest, Guarantee, ProjectId, PurgeJob, PurgeJobId, PurgeJobStatus, SessionStatus,
    UpdateSessionRequest,
};

use super::responses::native;
use super::world::{World, cache, fresh, key, not_active, not_found, reference};
use crate::store::receipt::Erasure;
use crate::store::{Answer, Generation, Reserved, Result, Written};

async fn try_purge(world: &World, ids: &[&ArtifactId]) -> Result<Written<PurgeJob>> {
    let request = CreatePurgeJobRequest::new(ids.iter().copied());
    world.store.create_purge_job(&world.ctx(), request, None).await
}

async fn purge(world: &World, ids: &[&ArtifactId]) -> PurgeJob {
    fresh(try_purge(world, ids).await)
}

pub(super) async fn a_purge_takes_everything_that_depends_on_the_artifact(world: World) {
    let (doomed, safe) = (world.document("doomed").await, world.document("safe").await);
    let bundle = world.bundle(&[&safe, &doomed]).await;
    let deleted = world.bundle(&[&doomed]).await;
    let request = CreateSessionRequest::new().base_bundle_ids([&bundle]);
    let based = fresh(world.store.create_session(&world.ctx(), request, None).await);
    let request = CreateSessionRequest::new().base_bundle_ids([&deleted]);
    let based_on_deleted = fresh(world.store.create_session(&world.ctx(), request, None).await);
    world.store.delete_bundle(&world.ctx(), &deleted).await.unwrap();
    let (pointing, _) = world.history(1).await;
    let event = world.append(&pointing.id, &pointing.default_branch_id, Some(&doomed)).await;
    let (other, _) = world.history(1).await;
    let root = &other.default_branch_id;
    let mut snapshots = Vec::new();
    for entry in [doomed.as_str(), event.id.as_str()] {
        let request = CreateSnapshotRequest::new().ordered_block_manifest([entry]);
        let snapshot = world.store.create_snapshot(&world.ctx(), &other.id, root, request, None).await;
        snapshots.push(fresh(snapshot).id);
    }

    let job = purge(&world, &[&doomed]).await;
    assert_eq!((&job.status, &job.scope.artifact_ids), (&PurgeJobStatus::Completed, &vec![doomed.clone()]));
    assert_eq!(world.store.retrieve_purge_job(&world.ctx(), &job.id).await.unwrap(), job);
    not_found(world.store.retrieve_artifact(&world.ctx(), &doomed).await);
    not_found(world.store.retrieve_bundle(&world.ctx(), &bundle).await);
    for session in [&based, &based_on_deleted, &pointing] {
        let session = world.store.retrieve_session(&world.ctx(), &session.id).await.unwrap();
        assert_eq!(session.status, SessionStatus::Tombstoned);
        let activate = UpdateSessionRequest::new(SessionStatus::Active);
        not_active(world.store.update_session(&world.ctx(), &session.id, activate, None).await);
    }
    for snapshot in &snapshots {
        not_found(world.store.retrieve_snapshot(&world.ctx(), &other.id, root, snapshot).await);
    }
    assert_eq!(world.store.list_snapshots(&world.ctx(), &other.id, root).await.unwrap(), []);
    // The history of a tombstoned session can still be read, and the session be deleted.
    assert_eq!(world.events(&pointing.id, &pointing.default_branch_id).await.len(), 2);
    world.store.delete_session(&world.ctx(), &pointing.id).await.unwrap();
}

pub(super) async fn each_purge_raises_the_generation_of_its_project(world: World) {
    let generation = async |project| world.store.purge_generation(project).await.unwrap();
    let (own, foreign) = (world.ctx().project, world.foreign().project);
    for before in 0..3 {
        assert_eq!((generation(&own).await, generation(&foreign).await), (before, 0));
        let job = purge(&world, &[&world.document("doomed").await]).await;
        let receipt = world.store.retrieve_purge_receipt(&world.ctx(), &job.id).await.unwrap();
        assert_eq!((receipt.namespace_generation, generation(&own).await), (before + 1, before + 1));
    }
    not_found(world.store.purge_generation(&ProjectId::with_suffix("none")).await);
}

pub(super) async fn a_purge_leaves_everything_else_alone(world: World) {
    let (doomed, safe) = (world.document("doomed").await, world.document("safe").await);
    let bundle = world.bundle(&[&safe]).await;
    let request = CreateSessionRequest::new().base_bundle_ids([&bundle]);
    let session = fresh(world.store.create_session(&world.ctx(), request, None).await);
    let (id, root) = (&session.id, &session.default_branch_id);
    world.append(id, root, Some(&safe)).await;
    let request = CreateSnapshotRequest::new().ordered_block_manifest([&safe]);
    let snapshot = fresh(world.store.create_snapshot(&world.ctx(), id, root, request, None).await);
    purge(&world, &[&doomed]).await;
    world.store.retrieve_artifact(&world.ctx(), &safe).await.unwrap();
    world.store.retrieve_bundle(&world.ctx(), &bundle).await.unwrap();
    assert_eq!(world.store.retrieve_session(&world.ctx(), id).await.unwrap(), session);
    world.store.retrieve_snapshot(&world.ctx(), id, root, &snapshot.id).await.unwrap();
    let state = crate::store::PromptState { session_id: Some(id.clone()), ..Default::default() };
    assert_eq!(world.store.read_prompt(&world.ctx(), state).await.unwrap().blocks.len(), 2);
    // The same text again is another artifact.
    assert_ne!(world.document("doomed").await, doomed);
}

pub(super) async fn a_receipt_verifies_offline(world: World) {
    let keys = world.store.list_receipt_keys().await.unwrap();
    for generation in 1..=2 {
        let (a, b) = (world.document("a").await, world.document("b").await);
        let job = purge(&world, &[&a, &b]).await;
        let receipt = world.store.retrieve_purge_receipt(&world.ctx(), &job.id).await.unwrap();
        zumik_receipt::verify(&receipt, &keys).unwrap();
        assert_eq!((&receipt.purge_job_id, &receipt.scope), (&job.id, &job.scope));
        assert_eq!(receipt.requested_at, job.requested_at);
        assert_eq!(receipt.namespace_generation, generation);
        let (weakest, of_contents) = match world.erasure {
            Erasure::Gone => (Guarantee::ExpiryBound, Guarantee::VerifiedPhysicalPurge),
            Erasure::OutOfReach => (Guarantee::HandleRevocation, Guarantee::HandleRevocation),
        };
        assert_eq!(receipt.guarantee, weakest);
        let blobs = receipt.processors.iter().find(|processor| processor.processor == "zumik_blob_store");
        assert_eq!(blobs.unwrap().guarantee, of_contents);
        assert_eq!(*world.store.provider_caches(), [cache()]);
        assert_eq!(receipt.processors.last(), Some(&cache().processor(receipt.completed_at)));
        assert_eq!(receipt.expires_at(), receipt.completed_at.checked_add_days(Days::new(1)));
        world.advance(TimeDelta::hours(1));
        let again = world.store.retrieve_purge_receipt(&world.ctx(), &job.id).await.unwrap();
        assert_eq!(again, receipt, "a receipt stays as it was signed");
    }
    not_found(world.store.retrieve_purge_receipt(&world.ctx(), &PurgeJobId::with_suffix("none")).await);
}

pub(super) async fn a_deleted_artifact_can_be_purged_once(world: World) {
    let id = world.document("text").await;
    world.store.delete_artifact(&world.ctx(), &id).await.unwrap();
    purge(&world, &[&id, &id]).await;
    reference(try_purge(&world, &[&id]).await, "artifact_ids[0]");
}

pub(super) async fn a_purge_of_a_missing_artifact_changes_nothing(world: World) {
    let id = world.document("text").await;
    let refused = try_purge(&world, &[&id, &ArtifactId::with_suffix("none")]).await;
    reference(refused, "artifact_ids[1]");
    world.store.retrieve_artifact(&world.ctx(), &id).await.unwrap();
    let job = purge(&world, &[&id]).await;
    let receipt = world.store.retrieve_purge_receipt(&world.ctx(), &job.id).await.unwrap();
    assert_eq!(receipt.namespace_generation, 1);
}

pub(super) async fn a_purge_drops_kept_answers_that_hold_the_content(world: World) {
    let serde_json::Value::Object(metadata) = json!({"title": "secret"}) else { unreachable!() };
    let request = || CreateArtifactRequest::new(ArtifactType::Document, "text").metadata(metadata.clone());
    let create =
        async || world.store.create_artifact(&world.ctx(), request(), key("/v2/artifacts", "a", "")).await;
    let artifact = fresh(create().await).id;
    assert!(create().await.unwrap().is_replay());

    let k = key("/v2/responses", "g", "").unwrap();
    let ctx = world.ctx();
    let Reserved::Held(lease) = world.store.reserve(&ctx, &k).await.unwrap() else { unreachable!() };
    let generation = Generation {
        response: None,
        begun: false,
        input_items: None,
        expires_at: ctx.now,
        materialized: vec![artifact.clone()],
        answer: Answer::json(&ctx.trace, &native(&ctx, "an answer that quotes the text")).unwrap(),
    };
    world.store.commit_generation(&ctx, generation, Some(lease)).await.unwrap();
    assert!(world.store.recall(&world.ctx(), &k).await.unwrap().is_some());

    purge(&world, &[&artifact]).await;
    assert_eq!(world.store.recall(&world.ctx(), &k).await.unwrap(), None);
    assert_ne!(fresh(create().await).id, artifact);
}

pub(super) async fn an_answer_that_a_purge_overtook_is_not_kept(world: World) {
    let artifact = world.document("text").await;
    let k = key("/v2/responses", "g", "").unwrap();
    let ctx = world.ctx();
    let Reserved::Held(lease) = world.store.reserve(&ctx, &k).await.unwrap() else { unreachable!() };
    purge(&world, &[&artifact]).await;
    let generation = Generation {
        response: None,
        begun: false,
        input_items: None,
        expires_at: ctx.now,
        materialized: vec![artifact],
        answer: Answer::json(&ctx.trace, &native(&ctx, "an answer that quotes the text")).unwrap(),
    };
    world.store.commit_generation(&ctx, generation, Some(lease)).await.unwrap();
    assert_eq!(world.store.recall(&world.ctx(), &k).await.unwrap(), None);
    assert!(matches!(world.store.reserve(&world.ctx(), &k).await, Ok(Reserved::Held(_))));
}

pub(super) async fn a_repeated_purge_is_replayed(world: World) {
    let id = world.document("text").await;
    let purge = async || {
        let request = CreatePurgeJobRequest::new([&id]);
        world.store.create_purge_job(&world.ctx(), request, key("/v2/purge-jobs", "k", "")).await
    };
    let first = purge().await.unwrap();
    let again = purge().await.unwrap();
    assert!(again.is_replay());
    assert_eq!(first.answer(), again.answer());
}
