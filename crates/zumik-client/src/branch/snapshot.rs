//! Pinning a branch: the manifest of everything that its prompt is made of.

use zumik_types::Snapshot;

use super::{BranchCursor, History};
use crate::api::snapshots::CreateSnapshot;
use crate::endpoint::Endpoint as _;
use crate::error::{BranchConflict, BranchPosition, Error, ErrorKind, Outcome, Result};
use crate::multipart::MAX_BODY_BYTES;
use crate::pipeline::Target;

/// How often the manifest is extended when the branch moves under it.
const ROUNDS: u32 = 4;

pub(super) async fn pin(cursor: &BranchCursor) -> Result<Snapshot> {
    let mut manifest = Manifest::default();
    manifest.add_base(cursor).await?;
    let mut at = BranchPosition::new(0, None);
    for _ in 0..ROUNDS {
        at = manifest.add_events(cursor, at).await?;
        let snapshots = cursor.client.snapshots();
        let call = snapshots.create(&cursor.session_id, &cursor.branch_id);
        let snapshot = call.ordered_block_manifest(&manifest.blocks).await?;
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

/// The blocks of a branch in their order, as many as a request can carry.
#[derive(Default)]
struct Manifest {
    blocks: Vec<String>,
    bytes: usize,
}

impl Manifest {
    /// Adds the artifacts of the session's base bundles, bundle by bundle, in their order.
    async fn add_base(&mut self, cursor: &BranchCursor) -> Result<()> {
        let session = cursor.client.sessions().retrieve(&cursor.session_id).await?;
        for bundle_id in &session.base_bundle_ids {
            let bundle = cursor.client.bundles().retrieve(bundle_id).await?;
            bundle.items.iter().try_for_each(|item| self.add(item.artifact_id.as_str()))?;
        }
        Ok(())
    }

    /// Adds the events behind `at`, and says where the branch ends.
    async fn add_events(&mut self, cursor: &BranchCursor, at: BranchPosition) -> Result<BranchPosition> {
        let mut events = History::new(cursor, at.head.clone());
        let mut at = at;
        while let Some(event) = events.next().await.transpose()? {
            self.add(event.id.as_str())?;
            at = BranchPosition::new(event.sequence, Some(event.id));
        }
        Ok(at)
    }

    fn add(&mut self, block: &str) -> Result<()> {
        self.bytes += block.len();
        if self.bytes > MAX_BODY_BYTES {
            let blocks = self.blocks.len();
            let message = format!(
                "the manifest of the branch is full after {blocks} blocks: a request may have {MAX_BODY_BYTES} bytes \
                 (2 MiB)"
            );
            let operation = Target::from(CreateSnapshot::OPERATION).name;
            return Err(Error::new(ErrorKind::TooLarge, message).with_operation(operation));
        }
        self.blocks.push(block.to_owned());
        Ok(())
    }
}
