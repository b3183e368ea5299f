//! Batches (contract `v1.md`, "Batches").

use std::sync::Arc;

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
    let (app, ctx, key) = (Arc::clone(&call.app), call.ctx.clone(), call.key.take());
    // A client that goes away must not leave a batch that nobody begins.
    let created = call.app.running.see_through(async move {
        let written = app.store.create_batch(&ctx, request, key).await?;
        app.batches.ring();
        Ok(written.into())
    });
    created.await
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
    let (app, ctx, key) = (Arc::clone(&call.app), call.ctx.clone(), call.key.take());
    let cancelled = call.app.running.see_through(async move {
        let written = app.store.cancel_batch(&ctx, &id, key).await?;
        app.batches.ring();
        Ok(written.into())
    });
    cancelled.await
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use serde_json::json;

    use super::*;
    use crate::domain::key_hash;
    use crate::fixtures;
    use crate::store::{NewFile, NewKey, ProjectCtx};

    #[tokio::test]
    async fn the_worker_is_woken_although_the_client_goes_away_while_a_batch_is_created_or_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let (app, ctx) = fixtures::app(fixtures::sqlite(folder.path()).await).await;
        let key = NewKey {
            name: "test".to_owned(),
            scopes: ctx.scopes,
            hash: key_hash(b"test"),
            masked: String::new(),
        };
        let key = app.store.create_key(&ctx.project, key, ctx.now).await.unwrap().id;
        let ctx = ProjectCtx { key, ..ctx };
        let line = json!({ "custom_id": "a", "method": "POST", "url": ENDPOINT, "body": {} });
        let file = NewFile {
            filename: "requests.jsonl".to_owned(),
            purpose: "batch".to_owned(),
            content: line.to_string().into(),
            expires_at: None,
        };
        let file = app.store.upload_file(&ctx, file, None).await.unwrap().fresh().unwrap();
        let request = json!({ "input_file_id": file.id, "endpoint": ENDPOINT, "completion_window": "24h" });
        for polls in 1..4 {
            let mut call = Call::posted(&app, &ctx, "/v1/batches", &request);
            fixtures::leave(create(&mut call), polls).await;
            app.running.end().await;
            assert!(app.batches.rung().now_or_never().is_some(), "created, gone after {polls} polls");

            let page = BatchPage { limit: Some(1), after: None };
            let batch = app.store.list_batches(&ctx, page).await.unwrap().data.remove(0);
            let path = format!("/v1/batches/{}/cancel", batch.id);
            let mut call = Call::posted(&app, &ctx, &path, &json!({}));
            fixtures::leave(cancel(&mut call), polls).await;
            app.running.end().await;
            assert!(app.batches.rung().now_or_never().is_some(), "cancelled, gone after {polls} polls");
        }
    }
}
