//! A purge and its proof, against the signed samples of the contract.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use zumik_client::testing::{Answer, FakeTransport};
use zumik_client::types::{ArtifactId, Guarantee, PurgeJobId, ReceiptKeySet};
use zumik_client::{ErrorKind, Outcome, ProofError, PurgeProof};

const ARTIFACT: &str = "art_01jy7n3q8v6kzr4w2m9bd5xpfh";

fn job(id: &str, status: &str) -> Answer {
    Answer::json(json!({
        "id": id,
        "object": "purge_job",
        "status": status,
        "scope": { "project_id": "prj_01jy7n0a4c8m2t6v9q3wrxk7bd", "artifact_ids": [ARTIFACT] },
        "requested_at": "2026-06-15T16:21:50Z",
    }))
}

/// The first receipt of the contract, `v2.md`, "Purge".
fn receipt() -> Value {
    let done = |processor: &str, action: &str, guarantee: &str| {
        json!({
            "processor": processor, "action": action, "status": "completed", "guarantee": guarantee,
            "completed_at": "2026-06-15T16:21:51Z", "expires_at": null,
        })
    };
    json!({
        "id": "pur_01jy7ngh13m4n5p6q7r8s9t0vw",
        "object": "purge_receipt",
        "purge_job_id": "pjb_01jy7ngh12k3l4m5n6o7p8q9rs",
        "requested_at": "2026-06-15T16:21:50Z",
        "completed_at": "2026-06-15T16:21:51Z",
        "scope": { "project_id": "prj_01jy7n0a4c8m2t6v9q3wrxk7bd", "artifact_ids": [ARTIFACT] },
        "guarantee": "verified_namespace_invalidation",
        "namespace_generation": 7,
        "processors": [
            done("zumik_metadata_store", "tombstone_handles", "verified_physical_purge"),
            done("zumik_blob_store", "delete_blobs", "verified_physical_purge"),
            done("zumik_trace_store", "delete_traces", "verified_physical_purge"),
            done("zumik_cache_namespace", "increment_generation", "verified_namespace_invalidation"),
        ],
        "digest": "sha256:822baa470e2165a01bacc51ea0cf6719ad36b2d0f3ff1c2f371fcfe96fed3b16",
        "signature": {
            "algorithm": "ed25519",
            "key_id": "rk_01jy7n0b5d9n3v7w0r4xsyz8ce",
            "value": "Lm83GwPty5kKiM_HC2pDtHXxc7itnj8hgGib0fNB2pQufnqzopdIiLAtEtFAikB-ieEW6yCuCGT_3f9iMIzJBw",
        },
    })
}

fn keys() -> ReceiptKeySet {
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "rk_01jy7n0b5d9n3v7w0r4xsyz8ce", "use": "sig", "alg": "EdDSA",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    serde_json::from_value(json!({ "keys": [key] })).unwrap()
}

const JOB: &str = "pjb_01jy7ngh12k3l4m5n6o7p8q9rs";

async fn proof_of(job_id: &str, receipt: Value, ids: &[&str]) -> PurgeProof {
    let fake = FakeTransport::new();
    fake.answer(job(job_id, "completed")).answer(Answer::json(receipt));
    let ids = ids.iter().map(|id| id.parse::<ArtifactId>().unwrap());
    fake.client().purge_jobs().purge(ids).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_purge_gives_job_and_receipt_and_verifies_offline() {
    let fake = FakeTransport::new();
    fake.answer(job(JOB, "completed")).answer(Answer::json(receipt()));
    let id: ArtifactId = ARTIFACT.parse().unwrap();
    let proof = fake.client().purge_jobs().purge([&id]).await.unwrap();
    assert_eq!(proof.job.id.as_str(), JOB);
    assert_eq!(proof.receipt_bytes().as_ref(), receipt().to_string().as_bytes());

    let requests = fake.requests();
    assert_eq!(
        (requests[0].path.as_str(), requests[0].json()),
        ("/v2/purge-jobs", json!({ "artifact_ids": [ARTIFACT] }))
    );
    assert_eq!(requests[1].path, format!("/v2/purge-jobs/{JOB}/receipt"));

    let verified = proof.verify(&keys()).unwrap();
    let verified = verified.require(Guarantee::VerifiedNamespaceInvalidation).unwrap();
    assert!(verified.require(Guarantee::VerifiedPhysicalPurge).is_err());
    assert_eq!(fake.requests().len(), 2, "nobody is asked");
}

/// The second receipt of the contract: the cache of a provider still has to expire.
fn receipt_with_a_window() -> Value {
    let mut receipt = receipt();
    receipt["id"] = "pur_01jy7ngj24n5p6q7r8s9t0v1wx".into();
    receipt["purge_job_id"] = "pjb_01jy7ngj23m4n5p6q7r8s9t0vw".into();
    receipt["guarantee"] = "expiry_bound".into();
    receipt["processors"].as_array_mut().unwrap().push(json!({
        "processor": "openai", "action": "await_cache_expiry", "status": "pending_expiry",
        "guarantee": "expiry_bound", "completed_at": null, "expires_at": "2026-06-16T16:21:51Z",
    }));
    receipt["digest"] = "sha256:b08262ce251e6bf2d6a3304e870072302d74ee29213897905bac33d7703b0422".into();
    receipt["signature"]["value"] =
        "HjlXRmS1dx-XVC5O2ifviaxvol9yuEDLSywbuIzIQFmGV9Bnh8pGbo7UdAyufV2r098iNlwp4NqzgBiwvqklCg".into();
    receipt
}

#[tokio::test(start_paused = true)]
async fn a_proof_tells_until_when_a_provider_may_hold_something() {
    let proof = proof_of("pjb_01jy7ngj23m4n5p6q7r8s9t0vw", receipt_with_a_window(), &[ARTIFACT]).await;
    let verified = proof.verify(&keys()).unwrap().require(Guarantee::ExpiryBound).unwrap();
    assert_eq!(verified.expires_at(), "2026-06-16T16:21:51Z".parse().ok());
    let weaker = verified.require(Guarantee::VerifiedNamespaceInvalidation).unwrap_err();
    assert_eq!(weaker.achieved, Guarantee::ExpiryBound);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_was_changed_is_no_proof() {
    let mut changed = receipt();
    changed["namespace_generation"] = 8.into();
    let error = proof_of(JOB, changed, &[ARTIFACT]).await.verify(&keys()).unwrap_err();
    assert!(matches!(error, ProofError::Receipt(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receipt_of_another_job_is_no_proof() {
    let error = proof_of("pjb_other", receipt(), &[ARTIFACT]).await.verify(&keys()).unwrap_err();
    assert!(matches!(error, ProofError::OtherJob { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_leaves_an_artifact_out_is_no_proof() {
    let error = proof_of(JOB, receipt(), &[ARTIFACT, "art_2"]).await.verify(&keys()).unwrap_err();
    assert_eq!(error.to_string(), "the receipt does not cover art_2");
}

#[tokio::test(start_paused = true)]
async fn a_job_in_the_background_is_waited_for() {
    let fake = FakeTransport::new();
    fake.answer(job(JOB, "pending")).answer(job(JOB, "running")).answer(job(JOB, "completed"));
    fake.answer(Answer::json(receipt()));
    let proof = fake.client().purge_jobs().purge([ARTIFACT.parse::<ArtifactId>().unwrap()]).await.unwrap();
    assert_eq!(proof.job.status.as_str(), "completed");
    let at: Vec<_> = fake.requests().iter().map(|request| request.at.as_millis()).collect();
    assert_eq!(at, [0, 250, 500, 500]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fails_or_does_not_end_is_an_error() {
    let id: ArtifactId = ARTIFACT.parse().unwrap();
    let fake = FakeTransport::new();
    fake.answer(job(JOB, "failed"));
    let error = fake.client().purge_jobs().purge([&id]).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::PurgeFailed, Outcome::Ambiguous));

    let fake = FakeTransport::new();
    fake.fallback(|_| job(JOB, "running"));
    let error = fake.client().purge_jobs().purge([&id]).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Ambiguous));
    assert!(error.message().contains("is still running"));
}

/// The ids of the jobs that a purge has shown.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<String>>>);

impl Shown {
    fn watch(&self) -> impl FnMut(&zumik_client::types::PurgeJob) + Send + use<> {
        let shown = self.0.clone();
        move |job| shown.lock().unwrap().push(format!("{} {}", job.id, job.status))
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_purge_has_begun_keeps_the_job() {
    let missing = || Answer::error(404, "invalid_request_error", "");
    let scripts = [
        (vec![job(JOB, "running"), missing()], ErrorKind::NotFound),
        (vec![job(JOB, "completed"), missing()], ErrorKind::NotFound),
        (vec![job(JOB, "completed"), Answer::json(json!({ "id": 7 }))], ErrorKind::Decode),
        (vec![job(JOB, "running"), job(JOB, "failed")], ErrorKind::PurgeFailed),
        (vec![job(JOB, "running"), Answer::hang()], ErrorKind::Timeout),
    ];
    for (answers, kind) in scripts {
        let fake = FakeTransport::new();
        for answer in answers {
            fake.answer(answer);
        }
        let client = fake.client();
        let purge = client.purge_jobs().purge([ARTIFACT.parse::<ArtifactId>().unwrap()]);
        let error = purge.timeout(Duration::from_secs(30)).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::Ambiguous), "{error}");
        assert_eq!(error.purge_job_id().map(PurgeJobId::as_str), Some(JOB), "{error}");
        assert_eq!(error.idempotency_key(), Some("key-1"), "{error}");
        assert!(error.to_string().contains(JOB), "{error}");
        if matches!(kind, ErrorKind::PurgeFailed | ErrorKind::Timeout) {
            let body: Value = serde_json::from_slice(error.body()).unwrap();
            assert_eq!(body["id"], JOB);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_is_dropped_has_shown_its_job_and_is_proven_by_it() {
    let fake = FakeTransport::new();
    fake.answer(job(JOB, "running")).answer(Answer::hang());
    fake.answer(job(JOB, "running")).answer(job(JOB, "completed")).answer(Answer::json(receipt()));
    let client = fake.client();
    let shown = Shown::default();
    let purge = client.purge_jobs().purge([ARTIFACT.parse::<ArtifactId>().unwrap()]).on_job(shown.watch());
    tokio::time::timeout(Duration::from_secs(5), purge.into_future()).await.unwrap_err();
    assert_eq!(shown.lines(), [format!("{JOB} running")]);

    let shown = Shown::default();
    let job_id: PurgeJobId = JOB.parse().unwrap();
    let proof = client.purge_jobs().proof(&job_id).on_job(shown.watch()).await.unwrap();
    assert_eq!(shown.lines(), [format!("{JOB} running"), format!("{JOB} completed")]);
    assert_eq!(proof.artifact_ids(), [ARTIFACT.parse::<ArtifactId>().unwrap()], "those of the job");
    proof.verify(&keys()).unwrap();
    assert_eq!(fake.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_proof_comes_in_the_time_that_was_set_or_not_at_all() {
    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::hang());
    let begun = tokio::time::Instant::now();
    let client = fake.client();
    let proof = client.purge_jobs().proof(JOB.parse::<PurgeJobId>().unwrap()).timeout(Duration::from_secs(5));
    assert_eq!(proof.await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn another_job_than_the_one_that_was_asked_for_is_no_proof() {
    let others = [
        vec![job("pjb_other", "completed"), Answer::json(receipt())],
        vec![job("pjb_other", "running"), job(JOB, "completed"), Answer::json(receipt())],
        vec![job(JOB, "running"), job("pjb_other", "completed"), Answer::json(receipt())],
    ];
    for answers in others {
        let fake = FakeTransport::new();
        for answer in answers {
            fake.answer(answer);
        }
        let client = fake.client();
        let shown = Shown::default();
        let proof = client.purge_jobs().proof(JOB.parse::<PurgeJobId>().unwrap()).on_job(shown.watch());
        let error = proof.await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Decode, Outcome::Ambiguous));
        assert!(error.message().contains(JOB) && error.message().contains("pjb_other"), "{error}");
        assert_eq!(error.purge_job_id().map(PurgeJobId::as_str), Some(JOB), "the caller's");
        let body: Value = serde_json::from_slice(error.body()).unwrap();
        assert_eq!(body["id"], "pjb_other");
        assert!(!shown.lines().iter().any(|line| line.contains("pjb_other")), "{:?}", shown.lines());
        let asked = fake.requests();
        let paths: Vec<_> = asked.iter().map(|request| request.path.as_str()).collect();
        assert!(paths.iter().all(|path| *path == format!("/v2/purge-jobs/{JOB}")), "{paths:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_is_asked_for_by_the_job_covers_what_the_caller_names() {
    let fake = FakeTransport::new();
    fake.answer(job(JOB, "completed")).answer(Answer::json(receipt()));
    let client = fake.client();
    let other: ArtifactId = "art_2".parse().unwrap();
    let proof = client.purge_jobs().proof(JOB.parse::<PurgeJobId>().unwrap()).artifact_ids([&other]);
    let error = proof.await.unwrap().verify(&keys()).unwrap_err();
    assert!(matches!(error, ProofError::NotCovered(id) if id == other));
}

#[tokio::test(start_paused = true)]
async fn a_purge_whose_answer_was_lost_is_repeated_under_its_key() {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset()).answer(job(JOB, "completed")).answer(Answer::json(receipt()));
    let client = fake.builder().max_retries(0).build().unwrap();
    let purge = || {
        let id = ARTIFACT.parse::<ArtifactId>().unwrap();
        client.purge_jobs().purge([id]).idempotency_key("forget-7")
    };
    let error = purge().await.unwrap_err();
    assert_eq!((error.kind(), error.purge_job_id()), (ErrorKind::Interrupted, None));
    purge().await.unwrap();
    let keys: Vec<_> = fake.requests()[..2].iter().map(|r| r.idempotency_key().map(str::to_owned)).collect();
    assert_eq!(keys, [Some("forget-7".to_owned()), Some("forget-7".to_owned())]);
}
