//! The wire of every operation: method, path with its ids escaped, query, headers, body.
//!
//! The ids hold characters that an id of the API never has but a reader must take: whatever stands in an id, it stays
//! one segment of the path.

mod openai;

use std::fmt::Write as _;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde_json::{Value, json};
use zumik_client::endpoint::Endpoint;
use zumik_client::testing::{Answer, FakeTransport, RecordedRequest};
use zumik_client::types::{json_object, *};
use zumik_client::{Call, FilePart, Zumik};

/// An id as a server might send it.
fn odd<'a, T: Deserialize<'a>>(text: &'a str) -> T {
    T::deserialize(StrDeserializer::<ValueError>::new(text)).unwrap()
}

fn id<T: FromStr<Err = InvalidId>>(text: &str) -> T {
    text.parse().unwrap()
}

fn object(value: Value) -> JsonObject {
    serde_json::from_value(value).unwrap()
}

/// Sends calls and keeps what went out.
struct Wire {
    fake: FakeTransport,
    zk: Zumik,
    seen: Vec<&'static str>,
}

impl Wire {
    fn new() -> Self {
        let fake = FakeTransport::new();
        fake.fallback(|_| Answer::error(400, "invalid_request_error", ""));
        let zk = fake.client();
        Self { fake, zk, seen: Vec::new() }
    }

    /// Sends a call and compares its request with the snapshot of its operation.
    async fn check<'c, E: Endpoint>(&mut self, call: impl FnOnce(&'c Zumik) -> Call<'c, E>, zk: &'c Zumik) {
        let operation = E::OPERATION;
        call(zk).idempotency_key("key").send().await.err().expect("the fake refuses everything");
        let request = self.fake.requests().pop().unwrap();
        assert_eq!(request.method.as_str(), operation.method.as_str());
        let segments = |path: &str| path.split('/').count();
        assert_eq!(segments(&request.path), segments(operation.path), "{}", request.path);
        insta::assert_snapshot!(operation.id, text(&request));
        self.seen.push(operation.id);
    }
}

fn text(request: &RecordedRequest) -> String {
    let mut text = format!("{} {}", request.method, request.path);
    if !request.query.is_empty() {
        write!(text, "?{}", request.query).unwrap();
    }
    let mut headers: Vec<_> = request.headers.keys().map(http::HeaderName::as_str).collect();
    headers.sort_unstable();
    for name in headers {
        if name != "user-agent" {
            write!(text, "\n{name}: {}", request.header(name).unwrap()).unwrap();
        }
    }
    match request.json() {
        Value::Null => write!(text, "\n\n{}", String::from_utf8_lossy(&request.body).replace("\r\n", "\n")),
        body => write!(text, "\n\n{body:#}"),
    }
    .unwrap();
    text
}

#[tokio::test]
async fn every_operation_goes_out_as_the_contract_says() {
    let mut wire = Wire::new();
    let zk = wire.zk.clone();
    let (session, branch): (SessionId, BranchId) = (odd("ses_1/../2"), odd("br_ä ?#%"));
    let (artifact, bundle, event): (ArtifactId, BundleId, EventId) = (id("art_1"), id("bnd_1"), id("evt_1"));

    // Artifacts, bundles
    wire.check(
        |zk| {
            zk.artifacts()
                .create(ArtifactType::Policy, "Run the linter.")
                .content_media_type("text/markdown")
                .retention_class(RetentionClass::Standard)
                .metadata(object(json!({ "path": "docs/policy.md" })))
        },
        &zk,
    )
    .await;
    wire.check(|zk| zk.artifacts().list(), &zk).await;
    wire.check(|zk| zk.artifacts().retrieve(odd::<ArtifactId>("art_/x")), &zk).await;
    wire.check(|zk| zk.artifacts().delete(&artifact), &zk).await;
    wire.check(
        |zk| zk.bundles().create([BundleItem::new(&artifact, "system")]).bundle_type("agent_prefix"),
        &zk,
    )
    .await;
    wire.check(|zk| zk.bundles().retrieve(&bundle), &zk).await;
    wire.check(|zk| zk.bundles().delete(&bundle), &zk).await;

    // Sessions, branches, events, merges, snapshots
    wire.check(|zk| zk.sessions().create().base_bundle_ids([&bundle]), &zk).await;
    wire.check(|zk| zk.sessions().retrieve(&session), &zk).await;
    wire.check(|zk| zk.sessions().update(&session, SessionStatus::Archived), &zk).await;
    wire.check(|zk| zk.sessions().delete(&session), &zk).await;
    wire.check(|zk| zk.branches().fork(&session, &branch).fork_from_event_id(&event).label("other"), &zk)
        .await;
    wire.check(|zk| zk.branches().list(&session), &zk).await;
    wire.check(|zk| zk.branches().retrieve(&session, &branch), &zk).await;
    let note = Event::note(&artifact);
    wire.check(|zk| zk.events().append(&session, &branch, 2, note).expected_head_event_id(&event), &zk).await;
    wire.check(
        |zk| {
            zk.events()
                .list(&session, &branch)
                .after(odd::<EventId>("evt_&=+"))
                .limit(50)
                .order(SortOrder::Desc)
        },
        &zk,
    )
    .await;
    wire.check(
        |zk| {
            zk.merges()
                .create(&session, &branch, id::<BranchId>("br_2"), MergeStrategy::Checkpoint, 3)
                .expected_head_event_id(None::<EventId>)
                .payload_ref(&artifact)
        },
        &zk,
    )
    .await;
    wire.check(
        |zk| {
            zk.snapshots()
                .create(&session, &branch)
                .prompt_compiler_revision("pc_1")
                .ordered_block_manifest(["blk_policy", "evt_1"])
        },
        &zk,
    )
    .await;
    wire.check(|zk| zk.snapshots().list(&session, &branch), &zk).await;
    wire.check(|zk| zk.snapshots().retrieve(&session, &branch, id::<SnapshotId>("snp_1")), &zk).await;

    // Native responses
    let qos =
        Qos::new().class(QosClass::Interactive).target_ttft_ms(500).degrade_policy(DegradePolicy::Forbid);
    let hints = AgentHints::new().version("2026-06-01");
    wire.check(
        |zk| {
            zk.responses()
                .create("code.fast", "Why did CI fail?")
                .session(&session)
                .branch(&branch)
                .bundle(&bundle)
                .snapshot(id::<SnapshotId>("snp_1"))
                .qos(qos)
                .agent_hints(hints)
                .hints_ref(id::<AgentHintsId>("ah_1"))
                .trace_mode(PrivacyMode::Metadata)
        },
        &zk,
    )
    .await;
    wire.check(|zk| zk.responses().retrieve(id::<ResponseId>("rsp_1")), &zk).await;
    wire.check(|zk| zk.responses().cancel(id::<ResponseId>("rsp_1")), &zk).await;

    // Diagnostics, purge, token counts
    let observed = TraceObservation::new("openai/gpt-4o", 400, 2000, 1000, 800, 600, 50);
    let trace = DiagnosticTrace::new("trace-1", PrivacyMode::Metadata, observed).prefix_family_id("pf_1");
    wire.check(|zk| zk.diagnostics().create([trace]), &zk).await;
    wire.check(|zk| zk.diagnostics().retrieve(id::<DiagnosticId>("dgn_1")), &zk).await;
    wire.check(|zk| zk.diagnostics().report(id::<DiagnosticId>("dgn_1")), &zk).await;
    wire.check(|zk| zk.purge_jobs().create([&artifact]), &zk).await;
    wire.check(|zk| zk.purge_jobs().retrieve(id::<PurgeJobId>("pjb_1")), &zk).await;
    wire.check(|zk| zk.purge_jobs().receipt(id::<PurgeJobId>("pjb_1")), &zk).await;
    wire.check(|zk| zk.receipt_keys().list(), &zk).await;
    wire.check(|zk| zk.token_counts().create("How many?"), &zk).await;

    // What generations need, and what they cost
    let target = NewModelTarget::new("openai", "gpt-4o").weight(60);
    wire.check(|zk| zk.model_aliases().list(), &zk).await;
    wire.check(|zk| zk.model_aliases().create("code.fast", [target]).policy_revision("7"), &zk).await;
    wire.check(|zk| zk.model_aliases().retrieve("code/fast?"), &zk).await;
    wire.check(|zk| zk.agent_hints().create().qos(Qos::new().class(QosClass::Batch)), &zk).await;
    wire.check(|zk| zk.agent_hints().retrieve(id::<AgentHintsId>("ah_1")), &zk).await;
    wire.check(|zk| zk.agent_hints().delete(id::<AgentHintsId>("ah_1")), &zk).await;
    wire.check(|zk| zk.usage().retrieve().window("24h").model("a/b c").group_by(UsageDimension::Model), &zk)
        .await;

    openai::check(&mut wire, &zk).await;
    wire.check(|zk| zk.health().check(), &zk).await;

    let mut missing: Vec<_> = operations::ALL.iter().map(|operation| operation.id).collect();
    missing.retain(|id| !wire.seen.contains(id));
    assert_eq!(missing, [""; 0], "operations without a snapshot");
}

#[tokio::test]
async fn an_id_that_would_leave_its_place_in_the_path_is_refused() {
    let fake = FakeTransport::new();
    for text in [".", ".."] {
        let error = fake.client().artifacts().delete(odd::<ArtifactId>(text)).await.unwrap_err();
        assert_eq!(error.kind(), zumik_client::ErrorKind::Request);
    }
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test]
async fn a_file_is_the_same_bytes_each_time_and_its_framing_counts() {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset());
    fake.answer(Answer::json(json!({
        "id": "file-1", "object": "file", "bytes": 2, "created_at": 1_750_000_123, "filename": "f", "purpose": "batch",
    })));
    let zk = fake.client();
    let file = zk.v1().files().upload(FilePart::bytes("f", "{}")).max_retries(1).await.unwrap();
    assert_eq!(file.id.as_str(), "file-1");
    let requests = fake.requests();
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(requests[0].headers, requests[1].headers);

    let full = FilePart::bytes("f", vec![b'x'; 2 * 1024 * 1024]);
    let error = zk.v1().files().upload(full).await.unwrap_err();
    assert_eq!(error.kind(), zumik_client::ErrorKind::TooLarge);
    assert_eq!(fake.requests().len(), 2);
}
