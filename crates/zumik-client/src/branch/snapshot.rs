//! Pinning a branch: the manifest of everything that its prompt is made of.

use zumik_types::{EventId, Snapshot};

use super::{BranchCursor, History};
use crate::error::{BranchConflict, BranchPosition, Error, ErrorKind, Outcome, Result};

/// How often the manifest is extended when the branch moves under it.
const ROUNDS: u32 = 4;

pub(super) async fn pin(cursor: &BranchCursor) -> Result<Snapshot> {
    let mut manifest = base_artifacts(cursor).await?;
    let mut at = BranchPosition::new(0, None);
    for _ in 0..ROUNDS {
        (at, manifest) = extend(cursor, at, manifest).await?;
        let snapshots = cursor.client.snapshots();
        let call = snapshots.create(&cursor.session_id, &cursor.branch_id);
        let snapshot = call.ordered_block_manifest(&manifest).await?;
        if snapshot.branch_version == at.version {
            return Ok(snapshot);
        }
    }
    let current = cursor.client.branches().retrieve(&cursor.session_id, &cursor.branch_id).await?;
    let current = BranchPosition::new(current.version, current.head_event_id);
    Err(Error::new(ErrorKind::BranchConflict, "the branch moved on each time that its manifest was pinned")
        .with_outcome(Outcome::Ambiguous)
        .with_conflict(BranchConflict { expected: at, current: Some(current) }))
}

/// The artifacts of the session's base bundles, bundle by bundle, in their order.
async fn base_artifacts(cursor: &BranchCursor) -> Result<Vec<String>> {
    let session = cursor.client.sessions().retrieve(&cursor.session_id).await?;
    let mut artifacts = Vec::new();
    for bundle_id in &session.base_bundle_ids {
        let bundle = cursor.client.bundles().retrieve(bundle_id).await?;
        artifacts.extend(bundle.items.iter().map(|item| item.artifact_id.to_string()));
    }
    Ok(artifacts)
}

/// Adds the events behind `at`, and says where the branch ends.
async fn extend(
    cursor: &BranchCursor,
    at: BranchPosition,
    mut manifest: Vec<String>,
) -> Result<(BranchPosition, Vec<String>)> {
    let mut at = at;
    let after: Option<EventId> = at.head.clone();
    let mut events = History::new(cursor, after);
    while let Some(event) = events.next().await.transpose()? {
        manifest.push(event.id.to_string());
        at = BranchPosition::new(event.sequence, Some(event.id));
    }
    Ok((at, manifest))
}
