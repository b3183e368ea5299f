//! Responses that a provider makes, whole.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::generations::{Kept, headers, keep};
use super::background::{answer_early, stored};
use super::history::Items;
use super::provider::{Asking, Question, Spoken};
use super::pump;
use super::request::Request;
use crate::app::App;
use crate::domain::ResponseObject;
use crate::engine::members::Object;
use crate::engine::{Failure, Held, ModelBody, ProviderError, Slot, Usage};
use crate::http::call::Call;
use crate::http::{ApiError, Reply};
use crate::openai::{Draft, adopt, whole};

/// Answers a request that is right, as far as this server can tell.
pub(super) async fn create(
    call: &Call,
    held: Held,
    slot: Option<Slot>,
    request: Request,
    items: Items,
    response: ResponseObject,
    input_items: Option<Vec<Value>>,
) -> Result<Reply, ApiError> {
    let Request { members, model, session_id, wishes, stream, store, .. } = request;
    let asking = Asking {
        id: response.id(),
        model: &model,
        session_id,
        wishes,
        body: call.body.clone(),
        members,
        items,
    };
    let question = Question::prepare(call, asking).await?;
    let mut kept = Kept { input_items, materialized: question.materialized.clone(), ..Kept::default() };
    if let Some(slot) = slot {
        let (app, begun, target) = (Arc::clone(&call.app), response.clone(), question.route.first.clone());
        let work = async move { ask(&app, &question, begun).await };
        return answer_early(call, held, slot, &target, response, kept, work).await;
    }
    if stream {
        return pump::stream(call, held, &question, response, kept, store).await;
    }
    let response = ask(&call.app, &question, response).await?;
    kept.headers = response.execution().to_vec();
    kept.response = store.then(|| stored(&response));
    keep(call, held, kept, &response).await
}

/// Asks a provider, and makes a whole response of its answer, with the headers that tell who gave it.
pub(super) async fn ask(
    app: &App,
    question: &Question,
    response: ResponseObject,
) -> Result<ResponseObject, ApiError> {
    let (spoken, answer) = question.ask(app, false).await?;
    let mut meter = answer.meter;
    let read = match &answer.body {
        ModelBody::Whole(answer) => read(app, spoken, answer, response),
        ModelBody::Stream(_) => Err("it is a stream"),
    };
    match read {
        Ok((mut response, usage)) => {
            match usage {
                Some(usage) => meter.usage(usage),
                None => meter.delivered(&written(&response)),
            }
            response.set_execution(headers(&answer.target, &meter.complete()));
            Ok(response)
        }
        Err(problem) => {
            let failure = Failure::from(ProviderError::Malformed(problem)).of(&answer.target.provider);
            meter.fail(&failure);
            Err(failure.into())
        }
    }
}

fn read(
    app: &App,
    spoken: Spoken,
    answer: &Object,
    response: ResponseObject,
) -> Result<(ResponseObject, Option<Usage>), &'static str> {
    let usage = Usage::of(&answer.members());
    let answer: Map<String, Value> =
        serde_json::from_slice(answer.text()).map_err(|_| "it is no JSON object")?;
    let response = match spoken {
        Spoken::Responses => adopt(&response, answer),
        Spoken::Chat => {
            let draft = Draft::new(response, Arc::clone(&app.mint), app.clock.now());
            whole(&Value::Object(answer), draft).map_err(|malformed| malformed.0)?
        }
    };
    Ok((response, usage))
}

/// All that a model wrote to whoever asked it: texts, refusals and calls.
fn written(response: &ResponseObject) -> String {
    let of_item = |item: &Value| -> String {
        let parts = item["content"].as_array().into_iter().flatten();
        let said = parts.filter(|part| part["type"] != "reasoning_text");
        let said = said.flat_map(|part| [&part["text"], &part["refusal"]]);
        said.chain([&item["name"], &item["arguments"], &item["input"]]).filter_map(Value::as_str).collect()
    };
    response.output().iter().map(of_item).collect()
}

/// The text of a response's messages.
pub(super) fn text_of(response: &ResponseObject) -> String {
    let contents = response.output().iter().filter_map(|item| item.get("content")?.as_array()).flatten();
    contents.filter(|part| part["type"] == "output_text").filter_map(|part| part["text"].as_str()).collect()
}
