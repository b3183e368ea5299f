//! Conversations, and responses tied to them.

use serde_json::{Value, json};

use crate::host::Host;

const FULL: (&str, &str) = ("Agent-Trace-Mode", "encrypted_full_fidelity");

async fn open(host: &Host) -> String {
    host.make("/v1/conversations", json!({})).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_conversation_has_exactly_four_members_and_may_be_made_of_nothing() {
    let host = Host::start().await;
    let metadata = json!({ "topic": "patch-review" });
    let made = host.make("/v1/conversations", json!({ "metadata": metadata })).await;
    let expected = json!({
        "id": made["id"], "object": "conversation", "created_at": made["created_at"], "metadata": metadata,
    });
    assert_eq!(made, expected);
    let path = format!("/v1/conversations/{}", made["id"].as_str().unwrap());
    assert_eq!(host.get(&path).await.json(), made);
    let empty = host.request(http::Method::POST, "/v1/conversations").body(axum::body::Body::empty());
    assert_eq!(host.send(empty.unwrap()).await.json()["metadata"], json!({}));
    let deleted = host.delete(&path).await.json();
    assert_eq!(deleted, json!({ "id": made["id"], "object": "conversation.deleted", "deleted": true }));
    host.get(&path).await.refused(404, "", "");
    host.delete(&path).await.refused(404, "", "");
    host.post("/v1/conversations", json!({ "metadata": [] })).await.refused(400, "", "metadata");
}

#[tokio::test]
async fn earlier_responses_of_a_conversation_come_before_the_input() {
    let host = Host::start().await;
    let conversation = open(&host).await;
    let ask = async |conversation: Value, input: &str| {
        let body = json!({ "model": "auto", "input": input, "conversation": conversation });
        let answer = host.post_with("/v1/responses", body, &[FULL]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let tokens = |response: &Value, kind: &str| response["usage"][kind].as_u64().unwrap();
    let first = ask(json!(conversation), "Hi").await;
    assert_eq!(first["conversation"], json!({ "id": conversation }));
    let alone = tokens(&ask(Value::Null, "Ho").await, "input_tokens");
    let second = ask(json!({ "id": conversation }), "Ho").await;
    assert_eq!(tokens(&second, "input_tokens"), tokens(&first, "total_tokens") + alone);

    // What is forgotten cannot be honored.
    let body = json!({ "model": "auto", "input": "Ha", "conversation": conversation });
    host.make("/v1/responses", body.clone()).await;
    host.post("/v1/responses", body).await.refused(400, "", "conversation");
}

#[tokio::test]
async fn responses_outlive_their_conversation() {
    let host = Host::start().await;
    let conversation = open(&host).await;
    let body = json!({ "model": "auto", "input": "Hi", "conversation": conversation });
    let response = host.post_with("/v1/responses", body.clone(), &[FULL]).await.json();
    host.delete(&format!("/v1/conversations/{conversation}")).await;
    let path = format!("/v1/responses/{}", response["id"].as_str().unwrap());
    assert_eq!(host.get(&path).await.json(), response);
    host.post("/v1/responses", body).await.refused(400, "", "conversation");
    let body = json!({ "model": "auto", "input": "Ho", "previous_response_id": response["id"] });
    assert_eq!(host.post("/v1/responses", body).await.status, 200);
}
