//! The receipt of a purge that is done.

use chrono::{DateTime, Utc};
use zumik_receipt::SigningKey;
use zumik_types::{
    DiagnosticReport, Extra, Guarantee, ObjectType, ProcessorStatus, PurgeJob, PurgeProcessor, PurgeReceipt,
    PurgeReceiptId, Signature,
};

use super::{ProviderCache, Result, StoreError};

/// What a store has done with contents, keys and every stored copy before it asks for a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erasure {
    /// Their bytes are gone from all that the store keeps, and that was checked.
    Gone,
    /// Nothing can reach them by the store any more, but their bytes may remain where it cannot look: old rows, logs,
    /// replicas and backups of a database server.
    OutOfReach,
}

/// What a purge came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Achieved<'a> {
    /// When everything that the server itself does was done, in whole seconds.
    pub(super) completed_at: DateTime<Utc>,
    /// What became of contents, keys and every stored copy.
    pub(super) erasure: Erasure,
    /// Who may hold something until it expires.
    pub(super) caches: &'a [ProviderCache],
}

/// What takes part in every purge, and what it does.
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
    achieved: Achieved<'_>,
    key: &SigningKey,
) -> Result<PurgeReceipt> {
    let Achieved { completed_at, erasure, caches } = achieved;
    let stores = STORES.map(|store| (store, erasure.guarantee()));
    let own = stores.into_iter().chain([(CACHE, Guarantee::VerifiedNamespaceInvalidation)]);
    let own = own.map(|((processor, action), guarantee)| PurgeProcessor {
        processor: processor.to_owned(),
        action: action.to_owned(),
        status: ProcessorStatus::Completed,
        guarantee,
        completed_at: Some(completed_at),
        expires_at: None,
        extra: Extra::new(),
    });
    let processors: Vec<_> = own.chain(caches.iter().map(|cache| cache.processor(completed_at))).collect();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zumik_types::{
        ArtifactId, ProjectId, PurgeJobId, PurgeJobStatus, PurgeScope, ReceiptKeyId, ReceiptKeySet,
    };

    use super::*;

    /// The receipt of a purge, verified.
    fn receipt_of(erasure: Erasure, caches: &[ProviderCache]) -> PurgeReceipt {
        let key = SigningKey::from_seed(ReceiptKeyId::with_suffix("1"), &[7; 32]);
        let completed_at: DateTime<Utc> = "2026-06-15T16:21:51Z".parse().unwrap();
        let job = PurgeJob {
            id: PurgeJobId::with_suffix("1"),
            object: ObjectType::PurgeJob,
            status: PurgeJobStatus::Completed,
            scope: PurgeScope {
                project_id: ProjectId::with_suffix("1"),
                artifact_ids: vec![ArtifactId::with_suffix("1")],
                extra: Extra::new(),
            },
            requested_at: completed_at,
            extra: Extra::new(),
        };
        let achieved = Achieved { completed_at, erasure, caches };
        let receipt = receipt(PurgeReceiptId::with_suffix("1"), job, 1, achieved, &key).unwrap();
        let keys = ReceiptKeySet { keys: vec![key.public_key()], extra: Extra::new() };
        zumik_receipt::verify(&receipt, &keys).unwrap().into_inner()
    }

    #[test]
    fn without_caches_a_receipt_names_the_server_alone() {
        let receipt = receipt_of(Erasure::Gone, &[]);
        assert!(receipt.processors.iter().all(|processor| processor.processor.starts_with("zumik_")));
        assert_eq!(receipt.guarantee, Guarantee::VerifiedNamespaceInvalidation);
        assert_eq!((receipt.processors.len(), receipt.expires_at()), (4, None));
    }

    #[test]
    fn each_cache_of_a_provider_is_a_processor_with_the_end_of_its_window() {
        let day = Duration::from_secs(86_400);
        let caches = [ProviderCache::new("local", day / 24), ProviderCache::new("openai", day)];
        let receipt = receipt_of(Erasure::Gone, &caches);
        assert_eq!(receipt.guarantee, Guarantee::ExpiryBound);
        let (own, caches) = receipt.processors.split_at(4);
        assert!(own.iter().all(|processor| processor.status == ProcessorStatus::Completed));
        for (cache, (name, end)) in
            caches.iter().zip([("local", "2026-06-15T17:21:51Z"), ("openai", "2026-06-16T16:21:51Z")])
        {
            let expected = PurgeProcessor {
                processor: name.to_owned(),
                action: "await_cache_expiry".to_owned(),
                status: ProcessorStatus::PendingExpiry,
                guarantee: Guarantee::ExpiryBound,
                completed_at: None,
                expires_at: end.parse().ok(),
                extra: Extra::new(),
            };
            assert_eq!(*cache, expected);
        }
        assert_eq!(caches.len(), 2);
    }

    #[test]
    fn a_cache_does_not_make_a_weaker_guarantee_stronger() {
        let cache = ProviderCache::new("openai", Duration::from_secs(86_400));
        assert_eq!(receipt_of(Erasure::OutOfReach, &[cache]).guarantee, Guarantee::HandleRevocation);
    }
}
