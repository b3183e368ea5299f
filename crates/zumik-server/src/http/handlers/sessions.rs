//! Sessions (contract `v2.md`, "Sessions").

use zumik_types::{
    BundleId, CreateSessionRequest, DeletedSession, Extra, ObjectType, SessionId, SessionStatus,
    UpdateSessionRequest,
};

use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// What a caller may set; `tombstoned` is for a purge to set.
const SETTABLE: &[SessionStatus] = &[SessionStatus::Active, SessionStatus::Archived];

/// Most bundles that a session begins with.
const MOST_BUNDLES: usize = 100;

/// `POST /v2/sessions`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let body = call.optional_json()?;
    let fields = Fields::of(&body);
    let bundles = fields.optional_items("base_bundle_ids", MOST_BUNDLES)?;
    let bundles = bundles.map(|items| items.map(|item| item.id::<BundleId>())).transpose()?;
    let request = CreateSessionRequest::new().base_bundle_ids(bundles.unwrap_or_default());
    Ok(call.app.store.create_session(&call.ctx, request, call.key.take()).await?.into())
}

/// `GET /v2/sessions/{session_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Session)?;
    let session = call.app.store.retrieve_session(&call.ctx, &id).await?;
    call.reply(&session)
}

/// `POST /v2/sessions/{session_id}`
pub(crate) async fn update(call: &mut Call) -> Result<Reply, ApiError> {
    let status = Fields::of(&call.json()?).one_of("status", SETTABLE)?;
    let id = call.path_id(0, Kind::Session)?;
    let request = UpdateSessionRequest::new(status);
    Ok(call.app.store.update_session(&call.ctx, &id, request, call.key.take()).await?.into())
}

/// `DELETE /v2/sessions/{session_id}`
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, ApiError> {
    let id: SessionId = call.path_id(0, Kind::Session)?;
    call.app.store.delete_session(&call.ctx, &id).await?;
    call.reply(&DeletedSession { id, object: ObjectType::SessionDeleted, deleted: true, extra: Extra::new() })
}
