//! A purge that was carried out: the job, its signed receipt, and the offline check of it.

#[cfg(feature = "verify")]
use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use zumik_types::{ArtifactId, PurgeJob, PurgeReceipt};

/// What [`PurgeJobs::purge`](crate::api::purge_jobs::PurgeJobs::purge) gives: the job and the receipt that proves it.
#[derive(Clone)]
#[non_exhaustive]
pub struct PurgeProof {
    /// The job.
    pub job: PurgeJob,
    /// The receipt as the server sent it, not yet verified.
    pub receipt: PurgeReceipt,
    pub(super) wanted: Vec<ArtifactId>,
    pub(super) bytes: Bytes,
}

impl PurgeProof {
    /// The artifacts that were to be purged: those that were named, or else those of the job.
    pub fn artifact_ids(&self) -> &[ArtifactId] {
        &self.wanted
    }

    /// The JSON of the receipt as it came: keep it, it can be verified years later.
    pub fn receipt_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Verifies the receipt without asking anybody: digest, signature, guarantee, and that it is about this job and
    /// all of the artifacts that were to be purged.
    ///
    /// `keys` are those of `zk.receipt_keys().list()`. Get them on another way than the receipt, or keep the ones you
    /// trust. How strong the proof is says [`require`](zumik_receipt::VerifiedReceipt::require).
    ///
    /// # Errors
    ///
    /// [`ProofError`] with the first step that failed.
    #[cfg(feature = "verify")]
    pub fn verify(
        &self,
        keys: &zumik_types::ReceiptKeySet,
    ) -> Result<zumik_receipt::VerifiedReceipt, ProofError> {
        let receipt = zumik_receipt::read(&self.bytes).map_err(ProofError::Unreadable)?;
        let receipt = zumik_receipt::verify(&receipt, keys)?;
        if receipt.purge_job_id != self.job.id {
            return Err(ProofError::OtherJob {
                job: self.job.id.clone(),
                found: receipt.purge_job_id.clone(),
            });
        }
        let covered: HashSet<&ArtifactId> = receipt.scope.artifact_ids.iter().collect();
        match self.wanted.iter().find(|id| !covered.contains(id)) {
            Some(missing) => Err(ProofError::NotCovered(missing.clone())),
            None => Ok(receipt),
        }
    }
}

impl fmt::Debug for PurgeProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PurgeProof").field("job", &self.job).field("receipt", &self.receipt).finish()
    }
}

/// Why a receipt does not prove a purge.
#[cfg(feature = "verify")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// It is not JSON, or an object in it has two members of one name.
    #[error("the receipt cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// It is not whole, not signed by one of the keys, or contradicts itself.
    #[error("the receipt does not verify")]
    Receipt(#[from] zumik_receipt::VerifyError),
    /// It is the receipt of another job.
    #[error("the receipt is about the job {found}, not {job}")]
    OtherJob {
        /// The job that was to be proven.
        job: zumik_types::PurgeJobId,
        /// The job of the receipt.
        found: zumik_types::PurgeJobId,
    },
    /// It does not speak of an artifact that was to be purged.
    #[error("the receipt does not cover {0}")]
    NotCovered(ArtifactId),
}
