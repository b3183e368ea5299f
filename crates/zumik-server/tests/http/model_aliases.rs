//! Releases of the server, and those that a project installs over them.

use serde_json::{Value, json};
use zumik_server::config::{AliasSettings, UpstreamSettings};

use crate::host::Host;

async fn admin() -> Host {
    let mut host = Host::start().await;
    host.key = host.new_key("default", &["inference", "admin"]).await.0;
    host
}

fn release(alias: &str) -> Value {
    json!({
        "alias": alias,
        "targets": [
            { "provider": "openai", "model": "gpt-4o", "model_revision": "2025-01-01", "weight": 60 },
            { "execution_profile": "managed_provider", "provider": "local", "model": "qwen", "weight": 40 },
        ],
    })
}

fn aliases(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|release| release["alias"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_release_of_the_project_takes_the_place_of_the_servers() {
    let host = admin().await;
    let before = host.get("/v2/model-aliases").await.json();
    assert!(aliases(&before).is_sorted() && aliases(&before).contains(&"code.fast"), "{before}");
    assert_eq!(before["has_more"], false);
    let servers = host.get("/v2/model-aliases/code.fast").await.json();
    assert_eq!(servers["targets"][0]["provider"], "placeholder");

    let installed = host.make("/v2/model-aliases", release("code.fast")).await;
    assert_eq!((&installed["status"], &installed["policy_revision"]), (&json!("active"), &json!("policy_1")));
    assert_eq!(installed["capability_manifest_revision"], servers["capability_manifest_revision"]);
    assert_eq!(installed["targets"][1]["model_revision"], Value::Null);
    assert_eq!(host.get("/v2/model-aliases/code%2Efast").await.json(), installed);
    let after = host.get("/v2/model-aliases").await.json();
    assert_eq!(aliases(&after), aliases(&before));
    host.make("/v2/model-aliases", release("a.new-one_2")).await;
    let with_new = host.get("/v2/model-aliases").await.json();
    assert_eq!(aliases(&with_new)[0], "a.new-one_2");

    let answer = host.post("/v2/responses", json!({ "model": "code.fast", "input": "Hi" })).await;
    assert_eq!(answer.header("agent-alias-release"), installed["id"].as_str());
    let second = host.make("/v2/model-aliases", release("code.fast")).await;
    let answer = host.post("/v2/responses", json!({ "model": "code.fast", "input": "Hi" })).await;
    assert_eq!(answer.header("agent-alias-release"), second["id"].as_str());

    let (key, _) = host.new_key("another", &["inference"]).await;
    let other = Host { key, ..host };
    assert_eq!(other.get("/v2/model-aliases/code.fast").await.json(), servers);
    other.get("/v2/model-aliases/a.new-one_2").await.refused(404, "", "");
}

#[tokio::test]
async fn a_release_needs_the_scope_admin_and_right_targets() {
    let host = Host::start().await;
    host.post("/v2/model-aliases", release("x")).await.refused(403, "insufficient_scope", "");
    let host = admin().await;
    let target = |weight: Value| json!({ "provider": "p", "model": "m", "weight": weight });
    let with = |member: &str, value: Value| {
        let mut body = release("x");
        body[member] = value;
        body
    };
    let first = |member: &str, value: Value| {
        let mut body = release("x");
        body["targets"][0][member] = value;
        body
    };
    for (body, param) in [
        (json!({}), "alias"),
        (with("alias", json!("")), "alias"),
        (with("alias", json!("Code.Fast")), "alias"),
        (with("alias", json!("x".repeat(65))), "alias"),
        (with("policy_revision", json!(7)), "policy_revision"),
        (with("policy_revision", json!("")), "policy_revision"),
        (with("policy_revision", json!("x".repeat(257))), "policy_revision"),
        (with("capability_manifest_revision", json!([])), "capability_manifest_revision"),
        (with("capability_manifest_revision", json!("x".repeat(257))), "capability_manifest_revision"),
        (with("targets", json!(null)), "targets"),
        (with("targets", json!([])), "targets"),
        (with("targets", json!(vec![target(json!(1)); 17])), "targets"),
        (with("targets", json!([target(json!(99))])), "targets"),
        (with("targets", json!([target(json!(100)), target(json!(1))])), "targets"),
        (with("targets", json!([target(json!(null)), target(json!(1))])), "targets[0].weight"),
        (first("weight", json!(0)), "targets[0].weight"),
        (first("weight", json!(101)), "targets[0].weight"),
        (first("execution_profile", json!("byok")), "targets[0].execution_profile"),
        (first("provider", json!("")), "targets[0].provider"),
        (first("provider", json!("x".repeat(257))), "targets[0].provider"),
        (first("model", json!(1)), "targets[0].model"),
        (first("model", json!("é".repeat(129))), "targets[0].model"),
        (first("model_revision", json!("")), "targets[0].model_revision"),
        (first("model_revision", json!("x".repeat(257))), "targets[0].model_revision"),
    ] {
        host.post("/v2/model-aliases", body).await.refused(400, "", param);
    }
    let alone = json!({ "alias": "x", "targets": [{ "provider": "p", "model": "m" }] });
    assert_eq!(host.make("/v2/model-aliases", alone).await["targets"][0]["weight"], 100);
}

#[tokio::test]
async fn with_upstreams_a_release_names_them_only() {
    let mut upstream = UpstreamSettings::new("http://127.0.0.1:9/v1");
    upstream.cache_seconds = Some(0);
    let alias = AliasSettings::new([("openai", "m", 100)]);
    let mut host = Host::with(|builder| builder.upstream("openai", upstream).alias("code.fast", alias)).await;
    let servers = host.get("/v2/model-aliases/code.fast").await.json();
    assert_eq!(servers["targets"][0]["provider"], "openai");
    host.key = host.new_key("default", &["admin"]).await.0;
    host.post("/v2/model-aliases", release("x")).await.refused(400, "", "targets[1].provider");
    let mut fits = release("x");
    fits["targets"][1]["provider"] = json!("openai");
    host.make("/v2/model-aliases", fits).await;
}
