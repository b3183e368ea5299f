//! Responses that are worked on after their request was answered: kept when they begin, and again when they end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use zumik_types::V1ResponseId;

use super::super::generations::{Kept, commit, headers};
use crate::app::App;
use crate::blocking::BrokenOff;
use crate::chain::chain;
use crate::domain::ResponseObject;
use crate::engine::{Held, Slot, Target, qos};
use crate::http::call::Call;
use crate::http::{ApiError, Reply};
use crate::insist::insist;
use crate::store::{Answer, ProjectCtx, StoreError, StoredResponse};

/// Keeps the response as `queued`, answers it, and works on it from then on. `work` makes the response as it ends.
pub(super) async fn answer_early<W>(
    call: &Call,
    held: Held,
    slot: Slot,
    target: &Target,
    mut response: ResponseObject,
    mut kept: Kept,
    work: W,
) -> Result<Reply, ApiError>
where
    W: Future<Output = Result<ResponseObject, ApiError>> + Send + 'static,
{
    response.set_execution(headers(target, &qos::queued()));
    kept.response = Some(stored(&response));
    let mut answer = Answer::json(&call.ctx.trace, &response)?;
    answer.headers = response.execution().to_vec();
    let (app, ctx) = (Arc::clone(&call.app), call.ctx.clone());
    // A client that goes away now must not leave a response that nobody works on.
    let begun = call.app.running.see_through(async move {
        commit(&app, &ctx, held, kept, &answer).await?;
        begin(app, ctx, slot, response, work);
        Ok(Reply::fresh(answer))
    });
    begun.await
}

/// Begins to work on a response that was kept.
fn begin<W>(app: Arc<App>, ctx: ProjectCtx, slot: Slot, response: ResponseObject, work: W)
where
    W: Future<Output = Result<ResponseObject, ApiError>> + Send + 'static,
{
    // Listed before the answer is out: a cancel that follows at once must find it.
    let listed = app.background.begin(response.id().clone());
    app.running.clone().begin(async move {
        // Who stops the work has written its end.
        let Some(ended) = listed.run(AssertUnwindSafe(work).catch_unwind()).await else { return };
        let ended = ended.unwrap_or_else(|_| Err(BrokenOff.into()));
        finish(&app, &ctx, ended.unwrap_or_else(|error| failed(&ctx, response, &error))).await;
        drop(slot);
    });
}

/// A response as it is kept.
pub(super) fn stored(response: &ResponseObject) -> StoredResponse {
    StoredResponse::V1(Box::new(response.clone()))
}

/// A response that ends with the error that its request would have been answered with.
fn failed(ctx: &ProjectCtx, mut response: ResponseObject, error: &ApiError) -> ResponseObject {
    if let Some(cause) = error.cause() {
        let (id, provider, cause) = (response.id(), error.of_provider(), chain(cause));
        tracing::warn!(trace = %ctx.trace, %id, provider, cause, "a response failed");
    }
    response.fail(error.machine_code().unwrap_or("server_error"), error.message());
    response
}

/// Fails a response that was kept when it began, and whose end could not be kept.
pub(in crate::http::handlers) async fn give_up(
    app: &App,
    ctx: &ProjectCtx,
    id: &V1ResponseId,
    error: &ApiError,
) {
    match insist(|| app.store.retrieve_v1_response(ctx, id)).await {
        Ok(response) => finish(app, ctx, failed(ctx, response, error)).await,
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => tracing::error!(trace = %ctx.trace, %id, %error, "a response could not be failed"),
    }
}

/// Writes the end of a response that was kept when it began, as soon as the store takes it.
pub(super) async fn finish(app: &App, ctx: &ProjectCtx, response: ResponseObject) {
    let id = response.id();
    match insist(|| app.store.finish_response(ctx, stored(&response))).await {
        // It may have been deleted meanwhile.
        Ok(_) | Err(StoreError::NotFound { .. }) => {}
        Err(error) => {
            tracing::error!(trace = %ctx.trace, %id, %error, "the end of a response could not be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::MOST_IN_BACKGROUND;
    use crate::fixtures;

    #[tokio::test]
    async fn a_response_in_the_background_waits_for_no_room() {
        let (app, ctx) = fixtures::app(fixtures::memory()).await;
        let mut taken: Vec<_> = std::iter::from_fn(|| app.background.slot()).collect();
        assert_eq!(taken.len(), MOST_IN_BACKGROUND);
        let body = json!({ "model": "auto", "input": "Why did CI fail?", "background": true });
        let mut call = Call::posted(&app, &ctx, "/v1/responses", &body);
        let full = super::super::create(&mut call).await.err().unwrap();
        assert_eq!(
            (full.status().as_u16(), full.machine_code(), full.retry_after()),
            (503, Some("overloaded"), Some(1))
        );
        taken.pop();
        assert!(super::super::create(&mut call).await.is_ok());
        app.running.end().await;
        assert!(app.background.slot().is_some(), "what has ended needs none");
    }

    #[tokio::test]
    async fn a_response_whose_work_panics_has_failed() {
        let (app, ctx) = fixtures::app(fixtures::memory()).await;
        let response = fixtures::begun(&app, &ctx).await;
        let id = response.id().clone();
        let slot = app.background.slot().unwrap();
        begin(Arc::clone(&app), ctx.clone(), slot, response, async { panic!("canary") });
        app.running.end().await;
        let found = app.store.retrieve_v1_response(&ctx, &id).await.unwrap();
        assert_eq!(found.members()["status"], "failed");
        assert_eq!(found.members()["error"]["code"], "internal_error");
        assert!(!json!(found).to_string().contains("canary"));
        assert!(app.background.ids().is_empty());
    }
}
