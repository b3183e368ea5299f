//! Purge jobs, receipts, and the keys that verify them (contract `v2.md`, "Purge").

use zumik_types::{ArtifactId, CreatePurgeJobRequest};

use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// Most artifacts of one job.
const MOST_ARTIFACTS: usize = 1_000;

/// `POST /v2/purge-jobs`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let artifacts = Fields::of(&call.json()?)
        .filled_items("artifact_ids", MOST_ARTIFACTS)?
        .map(|item| item.id::<ArtifactId>())?;
    call.app.limits.purge_job(&call.ctx.project)?;
    let request = CreatePurgeJobRequest::new(artifacts);
    let written = call.app.store.create_purge_job(&call.ctx, request, call.key.take()).await?;
    call.app.reuse.purged(&call.ctx.project);
    Ok(written.into())
}

/// `GET /v2/purge-jobs/{purge_job_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::PurgeJob)?;
    let job = call.app.store.retrieve_purge_job(&call.ctx, &id).await?;
    call.reply(&job)
}

/// `GET /v2/purge-jobs/{purge_job_id}/receipt`
pub(crate) async fn receipt(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::PurgeJob)?;
    let receipt = call.app.store.retrieve_purge_receipt(&call.ctx, &id).await?;
    call.reply(&receipt)
}

/// `GET /v2/receipt-keys`
pub(crate) async fn receipt_keys(call: &mut Call) -> Result<Reply, ApiError> {
    let keys = call.app.store.list_receipt_keys().await?;
    call.reply(&keys)
}
