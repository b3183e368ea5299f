//! Responses in OpenAI's shape (contract `v1.md`, "Responses"): reading a request (`request`), what comes before its input
//! and what is kept of it (`history`), the object that is answered (`object`); who makes the answer: a provider
//! (`provider`, `live`, `pump`) or nobody (`placeholder`, `items`); and the operations.

mod background;
mod compact;
mod history;
mod input_items;
mod input_tokens;
mod items;
mod live;
mod object;
mod placeholder;
mod provider;
mod pump;
mod request;

use zumik_types::{DeletedV1Response, Extra, ObjectType, V1ResponseId};

use crate::engine::{Held, MOST_IN_BACKGROUND, Reservation, Slot};
use crate::http::call::Call;
use crate::http::{ApiError, Reply};
use crate::store::{Answer, Kind};

use history::Items;
use request::Request;

pub(super) use background::give_up;
pub(crate) use compact::compact;
pub(crate) use input_items::input_items;
pub(crate) use input_tokens::input_tokens;

/// `POST /v1/responses`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let mut request = Request::read(call).await?;
    let is_live = call.app.engine.is_live();
    if !is_live {
        placeholder::check(&request.members)?;
    }
    let held = match Held::reserve(&call.app, &call.ctx, call.key.take()).await? {
        Reservation::Held(held) => held,
        Reservation::Replayed(answer) => return Ok(Reply::replayed(answer)),
    };
    let slot = if request.background { Some(slot(call)?) } else { None };
    let response = object::queued(call, &request);
    let input_items = history::kept(call, &request);
    let items = Items::of(call, std::mem::take(&mut request.input), request.continues.clone()).await?;
    if is_live {
        live::create(call, held, slot, request, items, response, input_items).await
    } else {
        placeholder::create(call, held, slot, request, items, response, input_items).await
    }
}

/// Room for a response in the background, before anything is read for it.
fn slot(call: &Call) -> Result<Slot, ApiError> {
    call.app.background.slot().ok_or_else(|| {
        ApiError::overloaded(format!(
            "The server works on {MOST_IN_BACKGROUND} responses in the background, the most that it takes. Retry later."
        ))
    })
}

/// `GET /v1/responses/{response_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Response)?;
    let response = call.app.store.retrieve_v1_response(&call.ctx, &id).await?;
    let answer = Answer::json(&call.ctx.trace, &response)?;
    Ok(Reply::fresh(Answer { headers: response.execution().to_vec(), ..answer }))
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
