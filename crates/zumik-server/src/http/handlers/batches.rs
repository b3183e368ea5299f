//! Batches (contract `v1.md`, "Batches").

use zumik_types::{Batch, BatchId, CreateBatchRequest, FileId, List, operations};

use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::{BatchPage, Kind};

const LARGEST_LIMIT: u32 = 100;

/// What the lines of a batch may ask for.
const ENDPOINT: &str = operations::CREATE_CHAT_COMPLETION.path;

/// How long a batch may take.
const COMPLETION_WINDOW: &str = "24h";

/// `POST /v1/batches`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let request = read(&Fields::of(&call.json()?))?;
    let written = call.app.store.create_batch(&call.ctx, request, call.key.take()).await?;
    call.app.batches.ring();
    Ok(written.into())
}

/// `GET /v1/batches`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let query = call.query();
    let page = BatchPage { limit: query.count("limit", 1..=LARGEST_LIMIT)?, after: query.after()? };
    let page = call.app.store.list_batches(&call.ctx, page).await?;
    call.reply(&List::page(page.data, page.has_more, |batch: &Batch| batch.id.as_str()))
}

/// `GET /v1/batches/{batch_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Batch)?;
    let batch = call.app.store.retrieve_batch(&call.ctx, &id).await?;
    call.reply(&batch)
}

/// `POST /v1/batches/{batch_id}/cancel`
pub(crate) async fn cancel(call: &mut Call) -> Result<Reply, ApiError> {
    call.optional_json()?;
    let id: BatchId = call.path_id(0, Kind::Batch)?;
    let written = call.app.store.cancel_batch(&call.ctx, &id, call.key.take()).await?;
    call.app.batches.ring();
    Ok(written.into())
}

fn read(body: &Fields<'_, '_>) -> Result<CreateBatchRequest, ApiError> {
    let input_file_id: FileId = body.id("input_file_id")?;
    if body.text("endpoint")? != ENDPOINT {
        return Err(body.invalid("endpoint", format_args!("must be '{ENDPOINT}'")));
    }
    if body.optional_text("completion_window")?.is_some_and(|window| window != COMPLETION_WINDOW) {
        return Err(body.invalid("completion_window", format_args!("must be '{COMPLETION_WINDOW}'")));
    }
    let mut request = CreateBatchRequest::new(input_file_id, ENDPOINT);
    request.metadata = body.optional_map("metadata")?;
    Ok(request)
}
