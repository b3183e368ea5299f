//! Snapshots (contract `v2.md`, "Snapshots").

use zumik_types::{CreateSnapshotRequest, List};

use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// Most entries of a manifest.
const MOST_ENTRIES: usize = 10_000;

/// `POST /v2/sessions/{session_id}/branches/{branch_id}/snapshots`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let request = read(&Fields::of(&call.optional_json()?))?;
    let (session, branch) = (call.path_id(0, Kind::Session)?, call.path_id(1, Kind::Branch)?);
    let store = &call.app.store;
    Ok(store.create_snapshot(&call.ctx, &session, &branch, request, call.key.take()).await?.into())
}

/// `GET /v2/sessions/{session_id}/branches/{branch_id}/snapshots`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let (session, branch) = (call.path_id(0, Kind::Session)?, call.path_id(1, Kind::Branch)?);
    let snapshots = call.app.store.list_snapshots(&call.ctx, &session, &branch).await?;
    call.reply(&List::complete(snapshots))
}

/// `GET /v2/sessions/{session_id}/branches/{branch_id}/snapshots/{snapshot_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let (session, branch) = (call.path_id(0, Kind::Session)?, call.path_id(1, Kind::Branch)?);
    let id = call.path_id(2, Kind::Snapshot)?;
    let snapshot = call.app.store.retrieve_snapshot(&call.ctx, &session, &branch, &id).await?;
    call.reply(&snapshot)
}

fn read(fields: &Fields<'_, '_>) -> Result<CreateSnapshotRequest, ApiError> {
    let mut request = CreateSnapshotRequest::new();
    if let Some(revision) = fields.optional_text("prompt_compiler_revision")? {
        request = request.prompt_compiler_revision(revision);
    }
    if let Some(manifest) = fields.optional_items("ordered_block_manifest", MOST_ENTRIES)? {
        request = request.ordered_block_manifest(manifest.map(|entry| entry.text())?);
    }
    Ok(request)
}
