//! Stored hints, and requests that refer to them.

use http::Method;
use serde_json::{Value, json};

use crate::host::Host;

async fn target_met(host: &Host, headers: &[(&str, &str)]) -> Value {
    let body = json!({ "model": "auto", "input": "Hi" });
    let answer = host.post_with("/v2/responses", body, headers).await;
    answer.json()["qos_outcome"]["target_met"].clone()
}

#[tokio::test]
async fn stored_hints_are_what_was_supplied_and_no_more() {
    let host = Host::start().await;
    let supplied = json!({
        "session": { "session_id": "ses_1", "expected_branch_version": 17, "else": 1 },
        "state": { "bundle_refs": ["bnd_1"], "placement_preference": "stable_prefix" },
        "reuse": { "preference": "prefer", "scope": "project" },
        "qos": { "class": "interactive", "target_ttft_ms": 500 },
        "routing": { "execution_profiles": ["byok"] },
        "safety": { "retry_safety": "idempotent_generation_only" },
        "else": {},
    });
    let stored = host.make("/v2/agent-hints", supplied.clone()).await;
    assert_eq!((&stored["object"], &stored["version"]), (&json!("agent_hints"), &json!("2026-06-01")));
    let mut expected = supplied;
    expected["session"].as_object_mut().unwrap().remove("else");
    for section in ["session", "state", "reuse", "qos", "routing", "safety"] {
        assert_eq!(stored[section], expected[section]);
    }
    assert!(stored.get("else").is_none(), "{stored}");
    let path = format!("/v2/agent-hints/{}", stored["id"].as_str().unwrap());
    assert_eq!(host.get(&path).await.json(), stored);
    let little = host.make("/v2/agent-hints", json!({ "version": "1" })).await;
    assert_eq!((little["version"].clone(), little.as_object().unwrap().len()), (json!("1"), 5));

    let deleted = host.delete(&path).await.json();
    assert_eq!(deleted, json!({ "id": stored["id"], "object": "agent_hints.deleted", "deleted": true }));
    host.get(&path).await.refused(404, "", "");
    host.delete(&path).await.refused(404, "", "");
}

#[tokio::test]
async fn a_mistake_in_hints_to_be_stored_is_told() {
    let host = Host::start().await;
    for (body, param) in [
        (json!({ "version": 1 }), "version"),
        (json!({ "session": [] }), "session"),
        (json!({ "session": { "expected_branch_version": -1 } }), "session.expected_branch_version"),
        (json!({ "state": { "bundle_refs": "bnd_1" } }), "state.bundle_refs"),
        (json!({ "state": { "bundle_refs": [7] } }), "state.bundle_refs[0]"),
        (json!({ "reuse": { "preference": "always" } }), "reuse.preference"),
        (json!({ "reuse": { "scope": "world" } }), "reuse.scope"),
        (json!({ "qos": { "class": "urgent" } }), "qos.class"),
        (json!({ "qos": { "priority": 256 } }), "qos.priority"),
        (json!({ "routing": { "execution_profiles": [1] } }), "routing.execution_profiles[0]"),
        (json!({ "safety": { "retry_safety": {} } }), "safety.retry_safety"),
    ] {
        host.post("/v2/agent-hints", body).await.refused(400, "", param);
    }
}

#[tokio::test]
async fn a_reference_wins_over_the_header_and_is_ignored_when_it_leads_nowhere() {
    let host = Host::start().await;
    let stored = host.make("/v2/agent-hints", json!({ "qos": { "target_ttft_ms": 60_000 } })).await;
    let id = stored["id"].as_str().unwrap();
    // {"qos":{"deadline_ms":60000}}
    let header = ("agent-hints", "eyJxb3MiOnsiZGVhZGxpbmVfbXMiOjYwMDAwfX0");
    let ask = async |headers: &[(&str, &str)]| {
        let body = json!({ "model": "auto", "input": "Hi" });
        let outcome = host.post_with("/v2/responses", body, headers).await.json()["qos_outcome"].clone();
        (outcome["target_met"].clone(), outcome["deadline_met"].clone())
    };
    assert_eq!(ask(&[header]).await, (Value::Null, json!(true)));
    assert_eq!(ask(&[("agent-hints-ref", id)]).await, (json!(true), Value::Null));
    assert_eq!(ask(&[header, ("agent-hints-ref", id)]).await, (json!(true), Value::Null));
    for other in ["ah_none", "ses_1", "", "ah_01jy7nij34n6o7p8q9r0s1t2uv"] {
        assert_eq!(ask(&[header, ("agent-hints-ref", other)]).await, (Value::Null, json!(true)), "{other}");
    }
    let (key, _) = host.new_key("another", &["inference"]).await;
    let other = Host { key, ..host };
    assert_eq!(target_met(&other, &[("agent-hints-ref", id)]).await, Value::Null);
    let request = other.request(Method::DELETE, &format!("/v2/agent-hints/{id}"));
    other.send(request.body(axum::body::Body::empty()).unwrap()).await.refused(404, "", "");
}
