//! Bundles (contract `v2.md`, "Bundles").

use zumik_types::{BundleId, BundleItem, CreateBundleRequest, DeletedBundle, Extra, ObjectType};

use crate::http::call::Call;
use crate::http::input::{Fields, Item};
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// Most items of a bundle.
const MOST_ITEMS: usize = 1_000;

/// Most characters of a role.
const LONGEST_ROLE: usize = 64;

/// `POST /v2/bundles`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let request = read(&Fields::of(&call.json()?))?;
    Ok(call.app.store.create_bundle(&call.ctx, request, call.key.take()).await?.into())
}

/// `GET /v2/bundles/{bundle_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Bundle)?;
    let bundle = call.app.store.retrieve_bundle(&call.ctx, &id).await?;
    call.reply(&bundle)
}

/// `DELETE /v2/bundles/{bundle_id}`
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, ApiError> {
    let id: BundleId = call.path_id(0, Kind::Bundle)?;
    call.app.store.delete_bundle(&call.ctx, &id).await?;
    call.reply(&DeletedBundle { id, object: ObjectType::BundleDeleted, deleted: true, extra: Extra::new() })
}

fn read(fields: &Fields<'_, '_>) -> Result<CreateBundleRequest, ApiError> {
    let bundle_type = fields.optional_text("bundle_type")?;
    let items = fields.filled_items("items", MOST_ITEMS)?.map(item)?;
    let mut request = CreateBundleRequest::new(items);
    if let Some(bundle_type) = bundle_type {
        request = request.bundle_type(bundle_type);
    }
    Ok(request)
}

fn item(item: Item<'_, '_>) -> Result<BundleItem, ApiError> {
    let fields = item.object()?;
    let artifact_id: zumik_types::ArtifactId = fields.id("artifact_id")?;
    let role = fields.filled_text("role")?;
    let characters = role.chars().count();
    if characters > LONGEST_ROLE {
        let problem = format!("must have at most {LONGEST_ROLE} characters, not {characters}");
        return Err(fields.invalid("role", problem));
    }
    Ok(BundleItem::new(artifact_id, role))
}
