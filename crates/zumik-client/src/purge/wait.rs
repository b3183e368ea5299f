//! From a job to its receipt.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use zumik_types::{ArtifactId, PurgeJob, PurgeJobId, PurgeJobStatus};

use super::proof::PurgeProof;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::generated::purge_jobs::PurgeJobs;
use crate::pipeline::delay;
use crate::response::Response;
use crate::transport::BoxFuture;

impl<'c> PurgeJobs<'c> {
    /// The proof of a purge that was begun before, by the id of its job: waits until the job has ended, then gets the
    /// receipt. Any number of times, as long as the server keeps the two.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     zk: &zumik_client::Zumik, job: &zumik_client::types::PurgeJobId,
    /// # ) -> zumik_client::Result<()> {
    /// let proof = zk.purge_jobs().proof(job).await?;
    /// println!("{} proves that {:?} are gone", proof.receipt.id, proof.artifact_ids());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`purge`](Self::purge). [`Decode`](ErrorKind::Decode) when the server answers with another job.
    pub fn proof(&self, job_id: impl Into<PurgeJobId>) -> WaitForProof<'c> {
        WaitForProof { job_id: job_id.into(), artifact_ids: None, wait: Wait::new(*self) }
    }
}

/// A proof that has not been asked for; see [`PurgeJobs::proof`]. Await it.
#[must_use = "a proof is not asked for until it is awaited"]
pub struct WaitForProof<'c> {
    job_id: PurgeJobId,
    artifact_ids: Option<Vec<ArtifactId>>,
    wait: Wait<'c>,
}

impl<'c> WaitForProof<'c> {
    /// Sets the artifacts that the receipt must cover. Default: those that the server says the job was about.
    pub fn artifact_ids(mut self, ids: impl IntoIterator<Item = impl Into<ArtifactId>>) -> Self {
        self.artifact_ids = Some(ids.into_iter().map(Into::into).collect());
        self
    }

    /// Sets what is called with the job each time the server was asked for it.
    pub fn on_job(mut self, on_job: impl FnMut(&PurgeJob) + Send + 'c) -> Self {
        self.wait.on_job = Box::new(on_job);
        self
    }

    /// Sets the longest time to wait. Default: the [`timeout`](crate::Options::timeout) of the client.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.wait.limit = limit;
        self
    }
}

impl<'c> IntoFuture for WaitForProof<'c> {
    type Output = Result<PurgeProof>;
    type IntoFuture = BoxFuture<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { job_id, artifact_ids, mut wait } = self;
        Box::pin(async move {
            let begun = Instant::now();
            let job = wait.jobs.retrieve(&job_id).timeout(wait.limit).send().await;
            let job = match job {
                Ok(job) => job,
                Err(error) => return Err(error.with_purge_job(job_id)),
            };
            wait.limit = wait.limit.saturating_sub(begun.elapsed());
            wait.proof(job_id, job, artifact_ids).await
        })
    }
}

impl fmt::Debug for WaitForProof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForProof").field("job_id", &self.job_id).finish_non_exhaustive()
    }
}

/// How a job is followed to its end.
pub(super) struct Wait<'c> {
    pub(super) jobs: PurgeJobs<'c>,
    pub(super) on_job: Box<dyn FnMut(&PurgeJob) + Send + 'c>,
    pub(super) limit: Duration,
}

impl<'c> Wait<'c> {
    pub(super) fn new(jobs: PurgeJobs<'c>) -> Self {
        Self { jobs, on_job: Box::new(|_| {}), limit: jobs.client.options().timeout }
    }

    /// The proof of the job `id`, which was just created or retrieved. Every error has that id.
    pub(super) async fn proof(
        mut self,
        id: PurgeJobId,
        mut job: Response<PurgeJob>,
        wanted: Option<Vec<ArtifactId>>,
    ) -> Result<PurgeProof> {
        let deadline = delay::after(Instant::now(), self.limit);
        let proof = timeout_at(deadline, self.follow(&id, &mut job, wanted)).await;
        proof.unwrap_or_else(|_| Err(unfinished(job))).map_err(|error| error.with_purge_job(id))
    }

    async fn follow(
        &mut self,
        id: &PurgeJobId,
        job: &mut Response<PurgeJob>,
        wanted: Option<Vec<ArtifactId>>,
    ) -> Result<PurgeProof> {
        let jobs = self.jobs;
        self.show(id, job)?;
        for asked in 0.. {
            match job.status {
                PurgeJobStatus::Pending | PurgeJobStatus::Running => {}
                PurgeJobStatus::Failed => return Err(failed(job.clone())),
                _ => break,
            }
            let jitter = jobs.client.shared().ambient.jitter();
            sleep(delay::delay(asked, None, jitter).unwrap_or_default()).await;
            *job = jobs.retrieve(id).send().await?;
            self.show(id, job)?;
        }
        let (receipt, _, bytes) = jobs.receipt(id).send().await?.into_parts();
        let job = PurgeJob::clone(job);
        let wanted = wanted.unwrap_or_else(|| job.scope.artifact_ids.clone());
        Ok(PurgeProof { job, receipt, wanted, bytes })
    }

    /// Shows the job to the caller, unless it is another one: that would prove another purge.
    fn show(&mut self, id: &PurgeJobId, job: &Response<PurgeJob>) -> Result<()> {
        if job.id != *id {
            return Err(another(id, job.clone()));
        }
        (self.on_job)(job);
        Ok(())
    }
}

fn another(id: &PurgeJobId, job: Response<PurgeJob>) -> Error {
    let message = format!("the server was asked for the purge job {id} and answered with {}", job.id);
    ended_without_proof(ErrorKind::Decode, message, job)
}

fn failed(job: Response<PurgeJob>) -> Error {
    let message = format!("the purge job {} failed: not everything is gone", job.id);
    ended_without_proof(ErrorKind::PurgeFailed, message, job)
}

fn unfinished(job: Response<PurgeJob>) -> Error {
    let message = match job.status {
        PurgeJobStatus::Pending | PurgeJobStatus::Running => {
            format!("the purge job {} is still {}", job.id, job.status)
        }
        _ => format!("the receipt of the purge job {} did not come in time", job.id),
    };
    ended_without_proof(ErrorKind::Timeout, message, job)
}

fn ended_without_proof(kind: ErrorKind, message: String, job: Response<PurgeJob>) -> Error {
    let (_, meta, body) = job.into_parts();
    let error = Error::new(kind, message).with_outcome(Outcome::Ambiguous);
    error.with_attempts(meta.attempts()).with_answer(meta, body)
}
