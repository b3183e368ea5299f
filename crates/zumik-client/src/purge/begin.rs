//! A purge from its beginning to its proof.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use zumik_types::{ArtifactId, PurgeJob};

use super::proof::PurgeProof;
use super::wait::Wait;
use crate::error::{Outcome, Result};
use crate::generated::purge_jobs::PurgeJobs;
use crate::transport::BoxFuture;

impl<'c> PurgeJobs<'c> {
    /// Purges artifacts and gives the job together with its signed receipt.
    ///
    /// The handles, and what depends on them, are gone at once; the receipt says how much was proven to be gone. A
    /// server that works on the job in the background is asked until it has finished.
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
    /// let receipt = proof.verify(&keys)?.require(Guarantee::ExpiryBound)?;
    /// match receipt.expires_at() {
    ///     None => println!("gone since {}", receipt.completed_at),
    ///     Some(end) => println!("gone here since {}, from the caches of providers by {end}", receipt.completed_at),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is purged cannot be purged again, so the id of the job is all that leads to the proof: keep it with
    /// [`on_job`](Purge::on_job), and [`proof`](Self::proof) goes on from it. An error has it
    /// [too](crate::Error::purge_job_id). For the case that the answer with the id itself is lost, set the
    /// [`idempotency_key`](Purge::idempotency_key): the same purge under the same key gives the same job.
    ///
    /// # Errors
    ///
    /// [`PurgeFailed`](crate::ErrorKind::PurgeFailed) when the job failed, [`Timeout`](crate::ErrorKind::Timeout) when
    /// it did not end in time, both with the job as the [body](crate::Error::body); and whatever else a call can meet.
    pub fn purge(&self, artifact_ids: impl IntoIterator<Item = impl Into<ArtifactId>>) -> Purge<'c> {
        let artifact_ids = artifact_ids.into_iter().map(Into::into).collect();
        Purge { artifact_ids, key: None, wait: Wait::new(*self) }
    }
}

/// A purge that has not begun; see [`PurgeJobs::purge`]. Await it.
#[must_use = "a purge does nothing until it is awaited"]
pub struct Purge<'c> {
    artifact_ids: Vec<ArtifactId>,
    key: Option<String>,
    wait: Wait<'c>,
}

impl<'c> Purge<'c> {
    /// Sets the idempotency key of the purge: 1 to 255 visible ASCII characters. Repeated with the same artifacts and
    /// the same key within 24 hours, it gives the same job and purges nothing.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets what is called with the job when it is created, before anything else is asked, and then each time the
    /// server was asked for it.
    pub fn on_job(mut self, on_job: impl FnMut(&PurgeJob) + Send + 'c) -> Self {
        self.wait.on_job = Box::new(on_job);
        self
    }

    /// Sets the longest time to wait for the proof, once the job is created. Default: the
    /// [`timeout`](crate::Options::timeout) of the client.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.wait.limit = limit;
        self
    }
}

impl<'c> IntoFuture for Purge<'c> {
    type Output = Result<PurgeProof>;
    type IntoFuture = BoxFuture<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { artifact_ids, key, wait } = self;
        Box::pin(async move {
            let mut create = wait.jobs.create(&artifact_ids);
            if let Some(key) = key {
                create = create.idempotency_key(key);
            }
            let job = create.send().await?;
            let begun = job.meta().key().cloned();
            // Whatever goes wrong from here on, the purge has begun.
            let proof = wait.proof(job.id.clone(), job, Some(artifact_ids)).await;
            proof.map_err(|error| error.with_outcome(Outcome::Ambiguous).with_idempotency_key(begun.as_ref()))
        })
    }
}

impl fmt::Debug for Purge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purge").field("artifact_ids", &self.artifact_ids).finish_non_exhaustive()
    }
}
