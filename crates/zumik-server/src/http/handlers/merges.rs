//! Merges (contract `v2.md`, "Merges").

use zumik_types::{ArtifactId, BranchId, MergeBranchRequest, MergeStrategy};

use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// `POST /v2/sessions/{session_id}/branches/{branch_id}/merges`
pub(crate) async fn merge(call: &mut Call) -> Result<Reply, ApiError> {
    let request = read(&Fields::of(&call.json()?))?;
    let (session, target) = (call.path_id(0, Kind::Session)?, call.path_id(1, Kind::Branch)?);
    let store = &call.app.store;
    Ok(store.merge_branch(&call.ctx, &session, &target, request, call.key.take()).await?.into())
}

fn read(fields: &Fields<'_, '_>) -> Result<MergeBranchRequest, ApiError> {
    let source: BranchId = fields.id("source_branch_id")?;
    let strategy = fields.one_of("strategy", MergeStrategy::KNOWN)?;
    let expected_version = fields.count("expected_version")?;
    let expected_head = fields.patch_id("expected_head_event_id")?;
    let payload = fields.optional_id::<ArtifactId>("payload_ref")?;
    let needs_payload = matches!(strategy, MergeStrategy::Checkpoint | MergeStrategy::Compact);
    let mut request = MergeBranchRequest::new(source, strategy.clone(), expected_version);
    request.expected_head_event_id = expected_head;
    match payload {
        None if needs_payload => {
            let problem =
                format!("is required: the strategy '{strategy}' appends the artifact that it names");
            Err(fields.invalid("payload_ref", problem))
        }
        Some(_) if !needs_payload => {
            let problem =
                format!("must be absent: the strategy '{strategy}' copies events and takes no artifact");
            Err(fields.invalid("payload_ref", problem))
        }
        None => Ok(request),
        Some(payload) => Ok(request.payload_ref(payload)),
    }
}
