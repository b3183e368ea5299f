//! The checks before a handler runs, and their order.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use serde_json::json;
use zumik_server::config::LimitSettings;
use zumik_server::store::sqlite::{Options, SqliteStore};
use zumik_types::{Operation, Scope, operations};

use crate::host::Host;

const CAP: usize = 2 * 1024 * 1024;

/// The path of an operation with an id that names nothing for each of its parameters.
fn path(operation: &Operation) -> String {
    let segments = operation.path.split('/').map(|segment| match segment {
        "{artifact_id}" => "art_none",
        "{bundle_id}" => "bnd_none",
        "{session_id}" => "ses_none",
        "{branch_id}" => "br_none",
        "{snapshot_id}" => "snp_none",
        "{response_id}" if operation.path.starts_with("/v1") => "resp_none",
        "{response_id}" => "rsp_none",
        "{diagnostic_id}" => "dgn_none",
        "{purge_job_id}" => "pjb_none",
        "{file_id}" => "file-none",
        "{conversation_id}" => "conv_none",
        "{batch_id}" => "batch_none",
        "{model_id}" => "none",
        "{alias}" => "none",
        "{agent_hints_id}" => "ah_none",
        segment => {
            assert!(!segment.starts_with('{'), "what is {segment}?");
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn request(operation: &Operation, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(operation.method.as_str()).uri(path(operation));
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Body::empty()).unwrap()
}

fn guarded() -> impl Iterator<Item = &'static Operation> {
    operations::ALL.iter().filter(|operation| operation.scope != Scope::None)
}

#[tokio::test]
async fn no_operation_runs_without_a_valid_key() {
    let host = Host::start().await;
    let (revoked, id) = host.new_key("default", &["inference"]).await;
    host.store.revoke_key(&id, chrono::Utc::now()).await.unwrap();
    let unknown = format!("Bearer zk_live_{}", "0".repeat(32));
    let revoked = format!("Bearer {revoked}");
    let long = format!("Bearer {}", "k".repeat(8_000));
    for operation in guarded() {
        for authorization in
            [None, Some("Bearer"), Some("Basic emlrOg=="), Some(&unknown), Some(&revoked), Some(&long)]
        {
            let answer = host.send(request(operation, authorization)).await;
            answer.refused(401, "invalid_api_key", "");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{}", operation.id);
        }
    }
}

#[tokio::test]
async fn no_operation_runs_without_its_scope() {
    let host = Host::start().await;
    let (reader, _) = host.new_key("default", &["read"]).await;
    let (admin, _) = host.new_key("default", &["admin"]).await;
    for operation in guarded() {
        for key in [&reader, &admin] {
            let answer = host.send(request(operation, Some(&format!("bearer {key}")))).await;
            match operation.scope {
                Scope::Inference => answer.refused(403, "insufficient_scope", ""),
                Scope::Admin if *key == reader => answer.refused(403, "insufficient_scope", ""),
                _ => assert_ne!(answer.status, 403, "{}", operation.id),
            }
        }
    }
}

#[tokio::test]
async fn a_strangers_id_answers_as_one_that_never_existed() {
    let host = Host::start().await;
    let artifact = host.artifact("secret").await;
    let (session, branch) = host.session(&[&artifact]).await;
    let (key, _) = host.new_key("stranger", &["inference"]).await;
    let stranger = format!("Bearer {key}");
    for (mine, missing) in [
        (format!("/v2/artifacts/{artifact}"), "/v2/artifacts/art_none".to_owned()),
        (format!("/v2/sessions/{session}"), "/v2/sessions/ses_none".to_owned()),
        (
            format!("/v2/sessions/{session}/branches/{branch}"),
            format!("/v2/sessions/ses_none/branches/{branch}"),
        ),
    ] {
        let ask = async |path: &str| {
            let request = Request::get(path).header(AUTHORIZATION, &stranger).body(Body::empty()).unwrap();
            let answer = host.send(request).await;
            answer.refused(404, "", "");
            answer.text().replace(&session, "ses_none").replace(&artifact, "art_none")
        };
        assert_eq!(ask(&mine).await, ask(&missing).await);
    }
}

#[tokio::test]
async fn what_cannot_be_an_id_names_nothing() {
    let host = Host::start().await;
    for id in [
        "%00",
        "%ff%fe",
        "art_%2F..%2F",
        "%20",
        "..",
        "x",
        "art_",
        "%F0%9F%A6%80",
        "art_%0a",
        &"a".repeat(8_000),
    ] {
        host.get(&format!("/v2/artifacts/{id}")).await.refused(404, "", "");
        host.delete(&format!("/v1/files/{id}")).await.refused(404, "", "");
        host.get(&format!("/v2/sessions/{id}/branches/{id}/snapshots/{id}")).await.refused(404, "", "");
    }
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_contract() {
    let host = Host::start().await;
    let (reader, _) = host.new_key("default", &["read"]).await;
    let huge = || Body::from(vec![b'x'; CAP + 1]);
    let reader = format!("Bearer {reader}");
    let send = async |method: Method, path: &str, key: Option<&str>, token: &str, body: Body| {
        let mut request = Request::builder().method(method).uri(path).header("Agent-Idempotency-Key", token);
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, key);
        }
        host.send(request.body(body).unwrap()).await
    };
    let host_key = format!("Bearer {}", host.key);
    let (nothing, artifacts) = ("/v2/nothing", "/v2/artifacts");

    // Size, route, key, scope, the form of the idempotency key, body.
    send(Method::POST, nothing, None, "a b", huge()).await.refused(413, "request_too_large", "");
    send(Method::POST, nothing, None, "a b", Body::empty()).await.refused(404, "", "");
    send(Method::PATCH, artifacts, None, "a b", Body::empty()).await.refused(405, "method_not_allowed", "");
    send(Method::POST, artifacts, None, "a b", Body::empty()).await.refused(401, "invalid_api_key", "");
    send(Method::POST, artifacts, Some(&reader), "a b", Body::empty()).await.refused(
        403,
        "insufficient_scope",
        "",
    );
    let answer = send(Method::POST, artifacts, Some(&host_key), "a b", Body::empty()).await;
    answer.refused(400, "", "Agent-Idempotency-Key");
    send(Method::POST, artifacts, Some(&host_key), "k", Body::empty()).await.refused(400, "", "");

    // Body before path ids, path ids before references.
    let events = "/v2/sessions/ses_none/branches/br_none/events";
    host.post(events, json!({ "expected_version": "0" })).await.refused(400, "", "expected_version");
    let dangling = json!({ "event_type": "note", "payload_ref": "art_none" });
    host.post(events, json!({ "expected_version": 0, "event": dangling })).await.refused(404, "", "");
}

#[tokio::test]
async fn each_key_has_its_own_rate_and_probes_have_none() {
    let mut limits = LimitSettings::default();
    limits.requests_per_minute = NonZeroU32::new(2);
    let host = Host::limited(limits).await;
    assert_eq!(host.get("/v2/artifacts").await.status, 200);
    // A request that fails counts too; one without a valid key is no one's.
    host.get("/v2/artifacts/art_none").await.refused(404, "", "");
    let refused = host.get("/v2/artifacts").await;
    refused.refused(429, "rate_limit_exceeded", "");
    assert_eq!(refused.error()["type"], "rate_limit_error");
    assert_eq!(refused.header("retry-after"), Some("30"));
    let (other, _) = host.new_key("default", &["read"]).await;
    let request = Request::get("/v2/artifacts").header(AUTHORIZATION, format!("Bearer {other}"));
    assert_eq!(host.send(request.body(Body::empty()).unwrap()).await.status, 200);
    assert_eq!(host.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_key_that_has_spent_its_tokens_waits_on_every_surface() {
    let mut limits = LimitSettings::default();
    limits.tokens_per_minute = NonZeroU32::new(1);
    let host = Host::limited(limits).await;
    let input = json!({ "model": "auto", "input": "Hi" });
    let asked = [
        ("/v1/responses", input.clone()),
        ("/v1/responses/compact", input.clone()),
        ("/v1/embeddings", input.clone()),
        ("/v2/responses", input),
        (
            "/v1/chat/completions",
            json!({ "model": "auto", "messages": [{ "role": "user", "content": "Hi" }] }),
        ),
    ];
    assert_eq!(host.post(asked[0].0, asked[0].1.clone()).await.status, 200);
    // An answer is settled after it has gone out.
    host.get("/v2/usage").await;
    for (path, body) in asked {
        let refused = host.post(path, body).await;
        assert_eq!(refused.status, 429, "{path}: {}", refused.text());
        refused.refused(429, "rate_limit_exceeded", "");
    }
}

#[tokio::test]
async fn purge_jobs_have_a_limit_of_their_own_that_a_replay_does_not_meet() {
    let mut limits = LimitSettings::default();
    limits.purge_jobs_per_minute = NonZeroU32::new(1);
    let host = Host::limited(limits).await;
    let body = json!({ "artifact_ids": [host.artifact("a").await] });
    let key = [("Agent-Idempotency-Key", "purge")];
    let first = host.post_with("/v2/purge-jobs", body.clone(), &key).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let again = host.post_with("/v2/purge-jobs", body, &key).await;
    assert_eq!((again.header("agent-idempotent-replay"), &again.body), (Some("true"), &first.body));
    let other = json!({ "artifact_ids": [host.artifact("b").await] });
    host.post("/v2/purge-jobs", other).await.refused(429, "rate_limit_exceeded", "");
}

#[tokio::test]
async fn stored_hints_are_read_only_where_they_count() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(Options::new(folder.path())).await.unwrap();
    let host = Host::over(Arc::new(store), |builder| builder).await;
    let stored = host.make("/v2/agent-hints", json!({})).await;
    let headers = [("Agent-Hints-Ref", stored["id"].as_str().unwrap())];
    let database = rusqlite::Connection::open(folder.path().join("zumik.db")).unwrap();
    assert_eq!(database.execute("UPDATE agent_hints SET hints = 'damaged'", []).unwrap(), 1);
    let generation = json!({ "model": "auto", "input": "Hi" });
    host.post_with("/v2/responses", generation, &headers).await.refused(500, "internal_error", "");
    // A generation is refused here before its hints count, and no other operation has any.
    for operation in guarded() {
        let mut request = host.request(operation.method.as_str().parse().unwrap(), &path(operation));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = host.send(request.body(Body::empty()).unwrap()).await;
        assert!(!answer.status.is_server_error(), "{}: {}", operation.id, answer.text());
    }
}
