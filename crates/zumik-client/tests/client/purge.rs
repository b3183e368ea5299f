//! A purge and its proof, against the signed samples of the contract.

use serde_json::{Value, json};
use zumik_client::testing::{Answer, FakeTransport};
use zumik_client::types::{ArtifactId, Guarantee, ReceiptKeySet};
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
