//! Batches as they are asked for; what runs their lines is tested beside it.

use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

use crate::host::Host;

const ENDPOINT: &str = "/v1/chat/completions";

async fn upload(host: &Host, purpose: &str, content: &str) -> String {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n\
         --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"r.jsonl\"\r\n\r\n{content}\r\n--x--\r\n"
    );
    let request = host.request(Method::POST, "/v1/files");
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(Body::from(body));
    host.send(request.unwrap()).await.json()["id"].as_str().unwrap().to_owned()
}

fn line(custom_id: &str) -> String {
    json!({ "custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": { "model": "auto" } })
        .to_string()
}

#[tokio::test]
async fn a_batch_is_created_read_listed_and_cancelled() {
    let host = Host::start().await;
    let file = upload(&host, "batch", &format!("{}\n\n{}\n", line("a"), line("b"))).await;
    let request = json!({ "input_file_id": file, "endpoint": ENDPOINT, "metadata": { "a": [1] } });
    let batch = host.make("/v1/batches", request.clone()).await;
    assert_eq!((&batch["object"], &batch["status"]), (&json!("batch"), &json!("validating")));
    assert_eq!(batch["request_counts"], json!({ "total": 2, "completed": 0, "failed": 0 }));
    assert_eq!((&batch["metadata"], &batch["completion_window"]), (&json!({ "a": [1] }), &json!("24h")));
    assert!(batch["created_at"].is_u64() && batch.get("output_file_id").is_none(), "{batch}");
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    assert_eq!(host.get(&path).await.json(), batch);

    let second = host.make("/v1/batches", request).await;
    let list = host.get("/v1/batches?limit=1").await.json();
    assert_eq!((&list["data"][0], &list["has_more"]), (&second, &json!(true)));
    assert_eq!((&list["first_id"], &list["last_id"]), (&second["id"], &second["id"]));
    let after = format!("/v1/batches?after={}", second["id"].as_str().unwrap());
    assert_eq!(host.get(&after).await.json()["data"], json!([batch]));
    host.get("/v1/batches?limit=101").await.refused(400, "", "limit");
    host.get("/v1/batches?after=batch_none").await.refused(400, "", "after");

    let cancelled = host.make(&format!("{path}/cancel"), json!({})).await;
    assert_eq!(cancelled["status"], "cancelling");
    assert!(cancelled["cancelling_at"].is_u64());
    assert_eq!(host.make(&format!("{path}/cancel"), json!({})).await, cancelled);
    host.post("/v1/batches/batch_none/cancel", json!({})).await.refused(404, "", "");
    host.get("/v1/batches/file-1").await.refused(404, "", "");
}

#[tokio::test]
async fn a_mistake_in_a_batch_names_its_field() {
    let host = Host::start().await;
    let file = upload(&host, "batch", &line("a")).await;
    let other = upload(&host, "notes", &line("a")).await;
    let batch = |file: &str, member: &str, value: Value| {
        let mut body = json!({ "input_file_id": file, "endpoint": ENDPOINT });
        body[member] = value;
        body
    };
    for (body, param) in [
        (json!({}), "input_file_id"),
        (batch("file-none", "metadata", json!({})), "input_file_id"),
        (batch("art_1", "metadata", json!({})), "input_file_id"),
        (batch(&other, "metadata", json!({})), "input_file_id"),
        (json!({ "input_file_id": file }), "endpoint"),
        (batch(&file, "endpoint", json!("/v1/embeddings")), "endpoint"),
        (batch(&file, "completion_window", json!("1h")), "completion_window"),
        (batch(&file, "metadata", json!([])), "metadata"),
    ] {
        host.post("/v1/batches", body).await.refused(400, "", param);
    }
    let (key, _) = host.new_key("another", &["inference"]).await;
    let other = Host { key, ..host };
    other.post("/v1/batches", batch(&file, "metadata", json!({}))).await.refused(400, "", "input_file_id");
}
