//! A valid request for every operation of the table, over a world of objects that it can name.
//!
//! Tests that walk the table use this. An operation that is added to the contract and not here fails them.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use zumik_client::types::Operation;

use crate::http::{Http, answer};
use crate::within;

/// One object of each kind in one project: what paths and bodies can name.
#[derive(Debug, Clone)]
pub struct World {
    /// Path parameters and their values. `response_id` is the native one.
    ids: Vec<(&'static str, String)>,
    artifact: String,
    bundle: String,
    fork: String,
    event: String,
    v1_response: String,
}

/// Path parameters that are names of the server, the same for everybody.
const SHARED: [(&str, &str); 2] = [("model_id", "code.fast"), ("alias", "code.fast")];

/// The body of a request.
#[derive(Debug, Clone)]
pub enum Body {
    /// None.
    Empty,
    /// JSON.
    Json(Value),
    /// A form with a file, made anew for each attempt.
    File,
}

/// A request for one operation.
#[derive(Debug, Clone)]
pub struct Request {
    /// The operation.
    pub operation: &'static Operation,
    /// The path with its ids.
    pub path: String,
    /// The body.
    pub body: Body,
}

impl World {
    /// Makes one object of each kind.
    pub async fn create(http: &Http) -> Self {
        let artifact =
            id(&http.post("/v2/artifacts", json!({"artifact_type": "policy", "content": "Be kind."})).await);
        let items = json!([{"artifact_id": artifact, "role": "system"}]);
        let bundle = id(&http.post("/v2/bundles", json!({ "items": items })).await);
        let session = http.post("/v2/sessions", json!({"base_bundle_ids": [bundle]})).await;
        let branch = session["default_branch_id"].as_str().expect("a root branch").to_owned();
        let session = id(&session);
        let branches = format!("/v2/sessions/{session}/branches");
        let fork = id(&http.post(&branches, json!({ "fork_from_branch_id": branch })).await);
        let append = json!({"expected_version": 0, "event": {"event_type": "note", "payload_ref": artifact}});
        http.post(&format!("{branches}/{fork}/events"), append.clone()).await;
        let event = id(&http.post(&format!("{branches}/{branch}/events"), append).await);
        let snapshot = id(&http.post(&format!("{branches}/{branch}/snapshots"), json!({})).await);
        let generation = json!({"model": "code.fast", "input": "Why did CI fail?"});
        let response = id(&http.post("/v2/responses", generation.clone()).await);
        let v1_response = id(&http.post("/v1/responses", generation).await);
        let diagnostic = id(&http.post("/v2/diagnostics", traces()).await);
        let purged =
            id(&http.post("/v2/artifacts", json!({"artifact_type": "document", "content": "x"})).await);
        let purge_job = id(&http.post("/v2/purge-jobs", json!({ "artifact_ids": [purged] })).await);
        let file = id(&http.upload().await);
        let batch = cancelled_batch(http, &file).await;
        let conversation = id(&http.post("/v1/conversations", json!({})).await);
        let hints = id(&http.post("/v2/agent-hints", hints()).await);
        let ids = vec![
            ("artifact_id", artifact.clone()),
            ("bundle_id", bundle.clone()),
            ("session_id", session),
            ("branch_id", branch),
            ("snapshot_id", snapshot),
            ("response_id", response),
            ("diagnostic_id", diagnostic),
            ("purge_job_id", purge_job),
            ("file_id", file),
            ("batch_id", batch),
            ("conversation_id", conversation),
            ("agent_hints_id", hints),
        ];
        Self { ids, artifact, bundle, fork, event, v1_response }
    }

    /// The same world with ids that were never made.
    #[must_use]
    pub fn missing(&self) -> Self {
        let missing = |id: &String| {
            let tail = if id.ends_with('0') { '1' } else { '0' };
            format!("{}{tail}", &id[..id.len() - 1])
        };
        Self {
            ids: self.ids.iter().map(|(name, id)| (*name, missing(id))).collect(),
            artifact: missing(&self.artifact),
            bundle: missing(&self.bundle),
            fork: missing(&self.fork),
            event: missing(&self.event),
            v1_response: missing(&self.v1_response),
        }
    }

    /// Path parameters and their values, as the native surface has them or as `/v1` does.
    pub fn parameters(&self, native: bool) -> Vec<(&'static str, &str)> {
        let of_v1 = |(name, id)| (name, if name == "response_id" { self.v1_response.as_str() } else { id });
        let ids = self.ids.iter().map(|(name, id)| (*name, id.as_str())).chain(SHARED);
        if native { ids.collect() } else { ids.map(of_v1).collect() }
    }

    /// Every id in it.
    pub fn all_ids(&self) -> impl Iterator<Item = &String> {
        self.ids.iter().map(|(_, id)| id).chain([&self.fork, &self.event, &self.v1_response])
    }

    /// A request of an operation that its owner may make once.
    ///
    /// # Panics
    /// For an operation that nobody has added here.
    pub fn request(&self, operation: &'static Operation) -> Request {
        let of = |name| &self.ids.iter().find(|(known, _)| *known == name).expect("a known id").1;
        let body = match operation.id {
            "createArtifact" => Body::Json(json!({"artifact_type": "policy", "content": "Be brief."})),
            "createBundle" => {
                Body::Json(json!({"items": [{"artifact_id": self.artifact, "role": "system"}]}))
            }
            "createSession" => Body::Json(json!({"base_bundle_ids": [self.bundle]})),
            "updateSession" => Body::Json(json!({"status": "archived"})),
            "forkBranch" => Body::Json(json!({"fork_from_branch_id": of("branch_id"), "label": "twin"})),
            "appendEvent" => Body::Json(json!({
                "expected_version": 1,
                "expected_head_event_id": self.event,
                "event": {"event_type": "note", "payload_ref": self.artifact},
            })),
            "mergeBranch" => Body::Json(json!({
                "source_branch_id": self.fork,
                "strategy": "rebase",
                "expected_version": 1,
                "expected_head_event_id": self.event,
            })),
            "createSnapshot" => Body::Json(json!({"ordered_block_manifest": [self.artifact, self.event]})),
            "createResponse" => Body::Json(json!({
                "model": "code.fast",
                "input": "Why did CI fail?",
                "session_id": of("session_id"),
                "qos": {"class": "interactive", "target_ttft_ms": 500},
            })),
            "createDiagnostic" => Body::Json(traces()),
            "createPurgeJob" => Body::Json(json!({"artifact_ids": [self.artifact]})),
            "countTokens" => Body::Json(json!({"input": "Summarize the diff in three bullets."})),
            "createChatCompletion" => Body::Json(chat()),
            "createV1Response" | "countV1InputTokens" | "compactV1Response" => {
                Body::Json(json!({"model": "code.fast", "input": "Why did CI fail?"}))
            }
            "createConversation" => Body::Json(json!({"metadata": {"topic": "patch-review"}})),
            "createEmbeddings" => Body::Json(json!({"model": "code.fast", "input": ["first chunk"]})),
            "createBatch" => Body::Json(batch(of("file_id"))),
            "createModelAlias" => {
                let target = json!({"provider": "openai", "model": "gpt-4o", "weight": 100});
                Body::Json(json!({"alias": "code.fast", "targets": [target]}))
            }
            "createAgentHints" => Body::Json(hints()),
            "uploadFile" => Body::File,
            "listArtifacts"
            | "retrieveArtifact"
            | "deleteArtifact"
            | "retrieveBundle"
            | "deleteBundle"
            | "retrieveSession"
            | "deleteSession"
            | "listBranches"
            | "retrieveBranch"
            | "listEvents"
            | "listSnapshots"
            | "retrieveSnapshot"
            | "retrieveResponse"
            | "cancelResponse"
            | "retrieveDiagnostic"
            | "retrieveDiagnosticReport"
            | "retrievePurgeJob"
            | "retrievePurgeReceipt"
            | "listReceiptKeys"
            | "retrieveV1Response"
            | "deleteV1Response"
            | "cancelV1Response"
            | "listFiles"
            | "retrieveFile"
            | "deleteFile"
            | "listV1InputItems"
            | "retrieveConversation"
            | "deleteConversation"
            | "listModels"
            | "retrieveModel"
            | "listBatches"
            | "retrieveBatch"
            | "cancelBatch"
            | "retrieveUsage"
            | "listModelAliases"
            | "retrieveModelAlias"
            | "retrieveAgentHints"
            | "deleteAgentHints"
            | "retrieveFileContent"
            | "healthz" => Body::Empty,
            other => panic!("tests/src/operations.rs does not know {other}"),
        };
        let mut path = operation.path.to_owned();
        for (name, id) in self.parameters(!path.starts_with("/v1")) {
            path = path.replace(&format!("{{{name}}}"), id);
        }
        assert!(!path.contains('{'), "tests/src/operations.rs has no id for {path}");
        Request { operation, path, body }
    }
}

/// A batch that was cancelled before it ended: it stays as it is, and may be cancelled again.
async fn cancelled_batch(http: &Http, file: &str) -> String {
    let cancelled = async {
        loop {
            let made = id(&http.post("/v1/batches", batch(file)).await);
            let path = format!("/v1/batches/{made}");
            // One that has ended already refuses.
            answer(http.request(Method::POST, &format!("{path}/cancel"))).await;
            match http.ended_batch(&path).await["status"].as_str() {
                Some("cancelled") => return made,
                // Its last line was faster.
                Some("completed") => {}
                other => panic!("the batch is {other:?}"),
            }
        }
    };
    within("a batch that is cancelled before it ends", cancelled).await
}

fn batch(file: &str) -> Value {
    json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"})
}

fn chat() -> Value {
    json!({"model": "code.fast", "messages": [{"role": "user", "content": "Why did CI fail?"}]})
}

fn hints() -> Value {
    json!({"qos": {"class": "interactive", "deadline_ms": 60_000}, "reuse": {"preference": "prefer"}})
}

/// A form with a file of one request, which a batch can run.
pub fn file_form() -> Form {
    let body =
        json!({ "model": "code.fast", "messages": [{ "role": "user", "content": "Why did CI fail?" }] });
    let line = json!({ "custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": body })
        .to_string();
    Form::new()
        .text("purpose", "batch")
        .part("file", Part::text(line.to_string()).file_name("requests.jsonl"))
}

fn traces() -> Value {
    let observed = json!({
        "resolved_target": "openai/gpt-4o",
        "ttft_ms": 410,
        "latency_ms": 2200,
        "input_tokens": 18240,
        "candidate_reuse_tokens": 17100,
        "realized_reused_tokens": 14980,
        "output_tokens": 320,
    });
    json!({"traces": [{"trace_id": "t1", "privacy_mode": "metadata", "observed": observed}]})
}

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}
