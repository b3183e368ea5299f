//! Branches (contract `v2.md`, "Branches").

use zumik_types::{BranchId, EventId, ForkBranchRequest, List};

use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// Most characters of a label.
const LONGEST_LABEL: usize = 128;

/// `POST /v2/sessions/{session_id}/branches`
pub(crate) async fn fork(call: &mut Call) -> Result<Reply, ApiError> {
    let request = read(&Fields::of(&call.json()?))?;
    let session = call.path_id(0, Kind::Session)?;
    Ok(call.app.store.fork_branch(&call.ctx, &session, request, call.key.take()).await?.into())
}

/// `GET /v2/sessions/{session_id}/branches`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let session = call.path_id(0, Kind::Session)?;
    let branches = call.app.store.list_branches(&call.ctx, &session).await?;
    call.reply(&List::complete(branches))
}

/// `GET /v2/sessions/{session_id}/branches/{branch_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let (session, branch) = (call.path_id(0, Kind::Session)?, call.path_id(1, Kind::Branch)?);
    let branch = call.app.store.retrieve_branch(&call.ctx, &session, &branch).await?;
    call.reply(&branch)
}

fn read(fields: &Fields<'_, '_>) -> Result<ForkBranchRequest, ApiError> {
    let mut request = ForkBranchRequest::new(fields.id::<BranchId>("fork_from_branch_id")?);
    if let Some(event) = fields.optional_id::<EventId>("fork_from_event_id")? {
        request = request.fork_from_event_id(event);
    }
    if let Some(label) = fields.optional_text("label")? {
        let characters = label.chars().count();
        if characters > LONGEST_LABEL {
            let problem = format!("must have at most {LONGEST_LABEL} characters, not {characters}");
            return Err(fields.invalid("label", problem));
        }
        request = request.label(label);
    }
    Ok(request)
}
