//! A purge with its proof: the job, its signed receipt, and the offline check of it.

use std::fmt;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use zumik_types::{ArtifactId, PurgeJob, PurgeJobStatus, PurgeReceipt};

use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::generated::purge_jobs::PurgeJobs;
use crate::pipeline::delay;
use crate::transport::BoxFuture;

impl<'c> PurgeJobs<'c> {
    /// Purges artifacts and gives the job together with its signed receipt.
    ///
    /// The handles, and what depends on them, are gone at once; the receipt says how much was proven to be gone. A
    /// server that works on the job in the background is asked until it has finished, or until the
    /// [`timeout`](crate::Options::timeout) of the client.
    ///
    /// ```
    /// # #[cfg(feature = "verify")]
    /// # async fn example(
    /// #     zk: &zumik_client::Zumik, note: &zumik_client::types::ArtifactId,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// use zumik_client::types::Guarantee;
    ///
    /// let proof = zk.purge_jobs().purge([note]).await?;
    /// let keys = zk.receipt_keys().list().await?;
    /// let receipt = proof.verify(&keys)?.require(Guarantee::VerifiedNamespaceInvalidation)?;
    /// println!("gone since {}", receipt.completed_at);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PurgeFailed`](ErrorKind::PurgeFailed) when the job failed, [`Timeout`](ErrorKind::Timeout) when it did not
    /// end in time, and whatever else a call can meet. The server may have begun in all of these cases.
    pub fn purge(
        &self,
        artifact_ids: impl IntoIterator<Item = impl Into<ArtifactId>>,
    ) -> BoxFuture<'c, Result<PurgeProof>> {
        let (jobs, wanted) = (*self, artifact_ids.into_iter().map(Into::into).collect::<Vec<_>>());
        Box::pin(async move {
            let job = jobs.create(&wanted).await?;
            let job = jobs.finished(job).await?;
            let (receipt, _, bytes) = jobs.receipt(&job.id).send().await?.into_parts();
            Ok(PurgeProof { job, receipt, wanted, bytes })
        })
    }

    async fn finished(&self, mut job: PurgeJob) -> Result<PurgeJob> {
        let deadline = delay::after(Instant::now(), self.client.options().timeout);
        let jitter = || self.client.shared().ambient.jitter();
        for asked in 0.. {
            match job.status {
                PurgeJobStatus::Pending | PurgeJobStatus::Running => {}
                PurgeJobStatus::Failed => {
                    let message = format!("the purge job {} failed: not everything is gone", job.id);
                    return Err(Error::new(ErrorKind::PurgeFailed, message).with_outcome(Outcome::Ambiguous));
                }
                _ => break,
            }
            let pause = delay::delay(asked, None, jitter()).unwrap_or_default();
            if delay::after(Instant::now(), pause) >= deadline {
                let message = format!("the purge job {} is still {}", job.id, job.status);
                return Err(Error::new(ErrorKind::Timeout, message).with_outcome(Outcome::Ambiguous));
            }
            sleep(pause).await;
            job = self.retrieve(&job.id).await?;
        }
        Ok(job)
    }
}

/// What [`PurgeJobs::purge`] gives: the job and the receipt that proves it.
#[derive(Clone)]
#[non_exhaustive]
pub struct PurgeProof {
    /// The job.
    pub job: PurgeJob,
    /// The receipt as the server sent it, not yet verified.
    pub receipt: PurgeReceipt,
    wanted: Vec<ArtifactId>,
    bytes: Bytes,
}

impl PurgeProof {
    /// The artifacts that were to be purged.
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
        match self.wanted.iter().find(|id| !receipt.scope.artifact_ids.contains(id)) {
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
