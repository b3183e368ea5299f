//! Responses in OpenAI's shape (contract `v1.md`, "Responses"): reading a request (`request`, `items`), what is kept of it
//! (`retained`), the answer (`answer`), and the operations.

mod answer;
mod items;
mod request;
mod retained;

use std::sync::Arc;

use serde_json::Value;
use zumik_types::{DeletedV1Response, Extra, ObjectType, V1Response, V1ResponseId};

use super::generations::{Kept, headers, keep};
use crate::app::App;
use crate::engine::{Held, Prepared, Reservation, Surface, qos};
use crate::http::call::Call;
use crate::http::{ApiError, Reply};
use crate::store::{Kind, ProjectCtx, StoreError};

use request::Request;

/// `POST /v1/responses`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let request = Request::read(call)?;
    let held = match Held::reserve(&call.app, &call.ctx, call.key.take()).await? {
        Reservation::Held(held) => held,
        Reservation::Replayed(answer) => return Ok(Reply::replayed(answer)),
    };
    let earlier = match &request.echo.previous_response_id {
        Some(id) => retained::earlier(call, id).await?,
        None => Vec::new(),
    };
    let turns = retained::turns(&earlier)?;
    let input_items = request.retains_input.then(|| retained::items(call, request.input.clone()));
    let (generation, echo) = request.generation(turns);
    let prepared = generation.prepare(&call.app, &call.ctx).await.map_err(request::in_header)?;
    let response = answer::queued(call, echo);
    if response.background {
        return answer_early(call, held, prepared, response, input_items).await;
    }
    let outcome = prepared.run(&call.app, &call.ctx, Surface::V1Responses, response.id.as_str()).await?;
    let headers = headers(&outcome.target, &outcome.qos);
    let response = answer::ended(response, &*call.app.mint, call.ctx.now, Ok(outcome));
    let kept = Kept {
        response: response.store.then(|| answer::stored(&response)).transpose()?,
        begun: false,
        input_items,
        materialized: prepared.materialized,
        headers,
    };
    keep(call, held, kept, &response).await
}

/// `GET /v1/responses/{response_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Response)?;
    let response = call.app.store.retrieve_v1_response(&call.ctx, &id).await?;
    call.reply(&response)
}

/// `DELETE /v1/responses/{response_id}`
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, ApiError> {
    let id: V1ResponseId = call.path_id(0, Kind::Response)?;
    call.app.store.delete_v1_response(&call.ctx, &id).await?;
    call.app.background.cancel(&id);
    call.reply(&DeletedV1Response {
        id,
        object: ObjectType::ResponseDeleted,
        deleted: true,
        extra: Extra::new(),
    })
}

/// `POST /v1/responses/{response_id}/cancel`
pub(crate) async fn cancel(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Response)?;
    let written = call.app.store.cancel_v1_response(&call.ctx, &id, call.key.take()).await?;
    call.app.background.cancel(&id);
    Ok(written.into())
}

/// Keeps the response as `queued`, answers it, and works on it from then on.
async fn answer_early(
    call: &Call,
    held: Held,
    prepared: Prepared,
    response: V1Response,
    input_items: Option<Vec<Value>>,
) -> Result<Reply, ApiError> {
    let kept = Kept {
        response: Some(answer::stored(&response)?),
        begun: false,
        input_items,
        materialized: prepared.materialized.clone(),
        headers: headers(&prepared.route.first, &qos::queued()),
    };
    // Listed before the answer is out: a cancel that follows at once must find it.
    let work = call.app.background.begin(response.id.clone());
    let reply = keep(call, held, kept, &response).await?;
    let (app, ctx) = (Arc::clone(&call.app), call.ctx.clone());
    call.app.running.spawn(async move {
        // Who stops the work has written its end.
        let running = prepared.run(&app, &ctx, Surface::V1Responses, response.id.as_str());
        if let Some(outcome) = work.run(running).await {
            let ended = answer::ended(response, &*app.mint, app.clock.now(), outcome);
            finish(&app, &ctx, ended).await;
        }
    });
    Ok(reply)
}

async fn finish(app: &App, ctx: &ProjectCtx, response: V1Response) {
    let id = response.id.clone();
    let Ok(ended) = answer::stored(&response) else { return };
    match app.store.finish_response(ctx, ended).await {
        // It may have been deleted meanwhile.
        Ok(_) | Err(StoreError::NotFound { .. }) => {}
        Err(error) => {
            tracing::error!(trace = %ctx.trace, %id, %error, "a background response could not be finished")
        }
    }
}
