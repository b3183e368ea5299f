//! What anyone may ask.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use zumik_types::operations;

use crate::host::{Answer, Host};

async fn ask(host: &Host, method: Method, path: &str) -> Answer {
    host.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn health_and_readiness_need_no_key() {
    let host = Host::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = ask(&host, Method::GET, path).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "ok" })), "{path}");
        assert!(answer.header("agent-trace-id").unwrap().starts_with("trc_"));
        ask(&host, Method::POST, path).await.refused(405, "method_not_allowed", "");
    }
    host.store.close().await;
    ask(&host, Method::GET, "/readyz").await.refused(503, "overloaded", "");
    assert_eq!(ask(&host, Method::GET, "/healthz").await.status, 200);
}

#[tokio::test]
async fn the_openapi_document_has_every_operation() {
    let host = Host::start().await;
    let document = ask(&host, Method::GET, "/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for operation in operations::ALL {
        let described = &document["paths"][operation.path][operation.method.as_str().to_lowercase()];
        assert_eq!(described["operationId"], Value::from(operation.id), "{}", operation.path);
    }
}
