//! The receipt of a purge that is done.

use chrono::{DateTime, Utc};
use zumik_receipt::SigningKey;
use zumik_types::{
    DiagnosticReport, Extra, Guarantee, ObjectType, ProcessorStatus, PurgeJob, PurgeProcessor, PurgeReceipt,
    PurgeReceiptId, Signature,
};

use super::{Result, StoreError};

/// What a store has done with contents, keys and every stored copy before it asks for a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erasure {
    /// Their bytes are gone from all that the store keeps, and that was checked.
    Gone,
    /// Nothing can reach them by the store any more, but their bytes may remain where it cannot look: old rows, logs,
    /// replicas and backups of a database server.
    OutOfReach,
}

/// What takes part in a purge, and what it does.
const STORES: [(&str, &str); 3] = [
    ("zumik_metadata_store", "tombstone_handles"),
    ("zumik_blob_store", "delete_blobs"),
    ("zumik_trace_store", "delete_traces"),
];
const CACHE: (&str, &str) = ("zumik_cache_namespace", "increment_generation");

impl Erasure {
    fn guarantee(self) -> Guarantee {
        match self {
            Self::Gone => Guarantee::VerifiedPhysicalPurge,
            Self::OutOfReach => Guarantee::HandleRevocation,
        }
    }
}

/// Makes and signs the receipt of a job; its guarantee is the weakest of the processors'.
pub(super) fn receipt(
    id: PurgeReceiptId,
    job: PurgeJob,
    generation: u64,
    completed_at: DateTime<Utc>,
    erasure: Erasure,
    key: &SigningKey,
) -> Result<PurgeReceipt> {
    let stores = STORES.map(|store| (store, erasure.guarantee()));
    let processors: Vec<_> = stores
        .into_iter()
        .chain([(CACHE, Guarantee::VerifiedNamespaceInvalidation)])
        .map(|((processor, action), guarantee)| PurgeProcessor {
            processor: processor.to_owned(),
            action: action.to_owned(),
            status: ProcessorStatus::Completed,
            guarantee,
            completed_at: Some(completed_at),
            expires_at: None,
            extra: Extra::new(),
        })
        .collect();
    let weakest = Guarantee::weakest(processors.iter().map(|processor| &processor.guarantee)).cloned();
    let mut receipt = PurgeReceipt {
        id,
        object: ObjectType::PurgeReceipt,
        purge_job_id: job.id,
        requested_at: job.requested_at,
        completed_at,
        scope: job.scope,
        guarantee: weakest.unwrap_or(Guarantee::HandleRevocation),
        namespace_generation: generation,
        processors,
        digest: String::new(),
        signature: unsigned(key),
        extra: Extra::new(),
    };
    let signed = key.sign(&receipt).map_err(StoreError::internal)?;
    receipt.digest = signed.digest.to_string();
    receipt.signature = signed.signature;
    Ok(receipt)
}

/// Signs a diagnostic report.
pub(super) fn sign_report(mut report: DiagnosticReport, key: &SigningKey) -> Result<DiagnosticReport> {
    let signed = key.sign(&report).map_err(StoreError::internal)?;
    report.digest = signed.digest.to_string();
    report.signature = signed.signature;
    Ok(report)
}

fn unsigned(key: &SigningKey) -> Signature {
    Signature {
        algorithm: String::new(),
        key_id: key.id().clone(),
        value: String::new(),
        extra: Extra::new(),
    }
}
