use chrono::TimeDelta;
use serde_json::json;
use ulid::Ulid;
use zumik_types::{
    NativeResponse, QosCompletion, ResponseId, ResponseStatus, V1ResponseId, V1ResponseStatus,
};

use super::world::{World, fresh, key, not_found};
use crate::domain::ResponseObject;
use crate::store::{Answer, Generation, ProjectCtx, StoredResponse};

fn suffix() -> String {
    Ulid::from_parts(0, rand::random()).to_string().to_ascii_lowercase()
}

/// A response as a handler makes it.
pub(in crate::store) fn native(ctx: &ProjectCtx, text: &str) -> NativeResponse {
    serde_json::from_value(json!({
        "id": ResponseId::with_suffix(&suffix()), "object": "response", "project_id": ctx.project,
        "created_at": ctx.now, "status": "completed", "model": "code.fast", "session_id": null,
        "branch_id": null, "output_text": text, "execution_profile": "managed_provider",
        "alias_release_id": null, "trace_id": ctx.trace,
        "usage": {
            "input_tokens": 10, "output_tokens": 2, "candidate_reuse_tokens": 0, "realized_reused_tokens": 0,
            "missed_opportunity_tokens": 0, "reuse_evidence_level": "unknown"
        },
        "qos_outcome": {
            "admission": "admitted", "completion": "completed", "target_met": null, "ttft_ms": 1,
            "latency_ms": 2, "deadline_met": null, "degraded": false, "fallback_used": false,
            "reason_code": null
        },
        "error": null
    }))
    .unwrap()
}

pub(super) fn v1(ctx: &ProjectCtx, status: V1ResponseStatus) -> ResponseObject {
    serde_json::from_value(json!({
        "id": V1ResponseId::with_suffix(&suffix()), "object": "response",
        "created_at": ctx.now.timestamp(), "status": status, "background": true, "error": null,
        "incomplete_details": null, "instructions": null, "max_output_tokens": null, "model": "code.balanced",
        "output": [{
            "type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "text", "annotations": []}]
        }],
        "parallel_tool_calls": true, "previous_response_id": null, "conversation": null, "store": true,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": null, "metadata": {"run": "nightly"}
    }))
    .unwrap()
}

async fn commit(world: &World, ctx: &ProjectCtx, response: StoredResponse) {
    let answer = Answer::json(&ctx.trace, &()).unwrap();
    let expires_at = world.ctx().now + TimeDelta::days(30);
    let input_items = Some(vec![json!({ "role": "user", "content": "canary" })]);
    let materialized = Vec::new();
    let generation =
        Generation { response: Some(response), begun: false, input_items, expires_at, materialized, answer };
    world.store.commit_generation(ctx, generation, None).await.unwrap();
}

async fn commit_native(world: &World, status: ResponseStatus) -> NativeResponse {
    let ctx = world.ctx();
    let mut response = native(&ctx, "text");
    response.status = status;
    commit(world, &ctx, StoredResponse::Native(Box::new(response.clone()))).await;
    response
}

async fn commit_v1(world: &World, status: V1ResponseStatus) -> ResponseObject {
    let ctx = world.ctx();
    let mut response = v1(&ctx, status);
    response.set_execution(vec![("Agent-Execution-Mode".into(), "placeholder".to_owned())]);
    commit(world, &ctx, StoredResponse::V1(Box::new(response.clone()))).await;
    response
}

pub(super) async fn a_response_is_kept_until_it_expires(world: World) {
    let response = commit_native(&world, ResponseStatus::Completed).await;
    let other = commit_v1(&world, V1ResponseStatus::Completed).await;
    assert_eq!(world.store.retrieve_response(&world.ctx(), &response.id).await.unwrap(), response);
    assert_eq!(world.store.retrieve_v1_response(&world.ctx(), other.id()).await.unwrap(), other);
    world.advance(TimeDelta::days(30));
    not_found(world.store.retrieve_response(&world.ctx(), &response.id).await);
    not_found(world.store.cancel_v1_response(&world.ctx(), other.id(), None).await);
    assert_eq!(world.store.sweep(world.ctx().now).await.unwrap().responses, 2);
    not_found(world.store.retrieve_v1_response(&world.ctx(), other.id()).await);
}

pub(super) async fn a_cancelled_response_stays_cancelled(world: World) {
    let response = commit_v1(&world, V1ResponseStatus::Queued).await;
    let k = || key("/v1/responses/cancel", "k", "");
    let cancelled = fresh(world.store.cancel_v1_response(&world.ctx(), response.id(), k()).await);
    assert_eq!((cancelled.status(), cancelled.output().len()), (V1ResponseStatus::Cancelled, 0));
    let finished = completed(&response);
    let ended = world.store.finish_response(&world.ctx(), StoredResponse::V1(Box::new(finished))).await;
    assert_eq!(ended.unwrap(), StoredResponse::V1(Box::new(cancelled.clone())));
    assert_eq!(world.store.retrieve_v1_response(&world.ctx(), response.id()).await.unwrap(), cancelled);
    assert!(world.store.cancel_v1_response(&world.ctx(), response.id(), k()).await.unwrap().is_replay());

    let response = commit_native(&world, ResponseStatus::InProgress).await;
    let cancelled = fresh(world.store.cancel_response(&world.ctx(), &response.id, None).await);
    assert_eq!((&cancelled.status, &cancelled.output_text), (&ResponseStatus::Cancelled, &None));
    assert_eq!(cancelled.qos_outcome.completion, Some(QosCompletion::Cancelled));
    assert_eq!(cancelled.qos_outcome.reason_code.as_deref(), Some("cancelled_by_client"));
}

pub(super) async fn an_ended_response_is_cancelled_without_effect(world: World) {
    let response = commit_native(&world, ResponseStatus::Completed).await;
    assert_eq!(fresh(world.store.cancel_response(&world.ctx(), &response.id, None).await), response);
    let queued = commit_v1(&world, V1ResponseStatus::Queued).await;
    let finished = StoredResponse::V1(Box::new(completed(&queued)));
    assert_eq!(world.store.finish_response(&world.ctx(), finished.clone()).await.unwrap(), finished);
    let cancelled = fresh(world.store.cancel_v1_response(&world.ctx(), queued.id(), None).await);
    assert_eq!(cancelled.status(), V1ResponseStatus::Completed);
}

pub(super) async fn input_items_stay_with_their_response_and_go_with_it(world: World) {
    let queued = commit_v1(&world, V1ResponseStatus::Queued).await;
    let items = async || world.store.retrieve_input_items(&world.ctx(), queued.id()).await;
    let kept = Some(vec![json!({ "role": "user", "content": "canary" })]);
    assert_eq!(items().await.unwrap(), kept);
    let finished = completed(&queued);
    world.store.finish_response(&world.ctx(), StoredResponse::V1(Box::new(finished))).await.unwrap();
    assert_eq!(items().await.unwrap(), kept);
    let other = world.store.ensure_project("other", world.ctx().now).await.unwrap();
    let stranger = ProjectCtx { project: other.id, ..world.ctx() };
    not_found(world.store.retrieve_input_items(&stranger, queued.id()).await);
    world.store.delete_v1_response(&world.ctx(), queued.id()).await.unwrap();
    not_found(items().await);
}

pub(super) async fn open_responses_fail_at_a_restart(world: World) {
    let open = commit_native(&world, ResponseStatus::Queued).await;
    let open_v1 = commit_v1(&world, V1ResponseStatus::InProgress).await;
    let ended = commit_native(&world, ResponseStatus::Completed).await;
    assert_eq!(world.store.fail_open_responses().await.unwrap(), 2);
    assert_eq!(world.store.fail_open_responses().await.unwrap(), 0);
    let failed = world.store.retrieve_response(&world.ctx(), &open.id).await.unwrap();
    assert_eq!((failed.status, failed.error.is_some()), (ResponseStatus::Failed, true));
    let failed = world.store.retrieve_v1_response(&world.ctx(), open_v1.id()).await.unwrap();
    assert_eq!(
        (failed.status(), &failed.members()["error"]["code"]),
        (V1ResponseStatus::Failed, &json!("server_error"))
    );
    assert_eq!(world.store.retrieve_response(&world.ctx(), &ended.id).await.unwrap(), ended);
}

pub(super) async fn responses_that_have_ended_or_are_gone_are_told_from_open_ones(world: World) {
    let mut ids = Vec::new();
    for status in [V1ResponseStatus::InProgress, V1ResponseStatus::Queued, V1ResponseStatus::Completed] {
        ids.push(commit_v1(&world, status).await.id().clone());
    }
    ids.push(V1ResponseId::with_suffix(&suffix()));
    let ended = async || {
        let ended = world.store.ended_v1_responses(ids.clone()).await.unwrap();
        Vec::from_iter(ids.iter().filter(|id| ended.contains(id)).cloned())
    };
    assert_eq!(ended().await, ids[2..]);
    fresh(world.store.cancel_v1_response(&world.ctx(), &ids[1], None).await);
    assert_eq!(ended().await, ids[1..]);
    world.store.delete_v1_response(&world.ctx(), &ids[0]).await.unwrap();
    assert_eq!(ended().await, ids);
    assert!(world.store.ended_v1_responses(Vec::new()).await.unwrap().is_empty());
}

pub(super) async fn a_deleted_v1_response_is_gone(world: World) {
    let response = commit_v1(&world, V1ResponseStatus::Completed).await;
    world.store.delete_v1_response(&world.ctx(), response.id()).await.unwrap();
    not_found(world.store.retrieve_v1_response(&world.ctx(), response.id()).await);
    not_found(world.store.delete_v1_response(&world.ctx(), response.id()).await);
}

pub(super) async fn the_end_of_a_begun_response_changes_only_an_open_one(world: World) {
    let ctx = world.ctx();
    let end = async |response: &ResponseObject| {
        let generation = Generation {
            response: Some(StoredResponse::V1(Box::new(completed(response)))),
            begun: true,
            input_items: None,
            expires_at: ctx.now,
            materialized: Vec::new(),
            answer: Answer::json(&ctx.trace, &()).unwrap(),
        };
        world.store.commit_generation(&ctx, generation, None).await.unwrap();
    };
    let open = commit_v1(&world, V1ResponseStatus::InProgress).await;
    end(&open).await;
    let ended = world.store.retrieve_v1_response(&ctx, open.id()).await.unwrap();
    assert_eq!(ended, completed(&open));
    assert!(world.store.retrieve_input_items(&ctx, open.id()).await.unwrap().is_some());

    let cancelled = commit_v1(&world, V1ResponseStatus::InProgress).await;
    fresh(world.store.cancel_v1_response(&ctx, cancelled.id(), None).await);
    end(&cancelled).await;
    let kept = world.store.retrieve_v1_response(&ctx, cancelled.id()).await.unwrap();
    assert_eq!(kept.status(), V1ResponseStatus::Cancelled);

    let deleted = commit_v1(&world, V1ResponseStatus::InProgress).await;
    world.store.delete_v1_response(&ctx, deleted.id()).await.unwrap();
    end(&deleted).await;
    not_found(world.store.retrieve_v1_response(&ctx, deleted.id()).await);
}

fn completed(response: &ResponseObject) -> ResponseObject {
    let mut completed = response.clone();
    completed.set("status", json!("completed"));
    completed
}
