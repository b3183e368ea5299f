//! The response object of `/v1`.

use chrono::{DateTime, Utc};
use zumik_types::{
    Extra, MessageId, ObjectType, V1IncompleteDetails, V1InputTokensDetails, V1ItemStatus, V1OutputContent,
    V1OutputItem, V1OutputMessage, V1OutputText, V1OutputTokensDetails, V1Response, V1ResponseError,
    V1ResponseId, V1ResponseStatus, V1ResponseUsage, V1Role,
};

use super::request::Echo;
use crate::engine::{Failure, Outcome};
use crate::http::ApiError;
use crate::http::call::Call;
use crate::mint::Mint;
use crate::store::StoredResponse;

/// The response before it has run.
pub(super) fn queued(call: &Call, echo: Echo) -> V1Response {
    V1Response {
        id: V1ResponseId::with_suffix(&call.app.mint.suffix(call.ctx.now)),
        object: ObjectType::Response,
        created_at: call.created_at(),
        status: V1ResponseStatus::Queued,
        background: echo.background,
        error: None,
        incomplete_details: None,
        instructions: echo.instructions,
        max_output_tokens: echo.max_output_tokens,
        model: echo.model,
        output: Vec::new(),
        parallel_tool_calls: echo.parallel_tool_calls,
        previous_response_id: echo.previous_response_id,
        conversation: None,
        store: echo.store,
        temperature: Some(echo.temperature),
        text: echo.text,
        tool_choice: echo.tool_choice,
        tools: echo.tools,
        top_p: Some(echo.top_p),
        truncation: Some(echo.truncation),
        usage: None,
        metadata: echo.metadata,
        extra: Extra::new(),
    }
}

/// The response as it is kept.
pub(super) fn stored(response: &V1Response) -> Result<StoredResponse, ApiError> {
    let object = serde_json::to_value(response).and_then(serde_json::from_value);
    object.map(|object| StoredResponse::V1(Box::new(object))).map_err(ApiError::internal)
}

/// The response after it has run, or failed to.
pub(super) fn ended(
    mut response: V1Response,
    mint: &dyn Mint,
    now: DateTime<Utc>,
    outcome: Result<Outcome, Failure>,
) -> V1Response {
    match outcome {
        Ok(outcome) => {
            let (status, item_status) = if outcome.truncated {
                (V1ResponseStatus::Incomplete, V1ItemStatus::Incomplete)
            } else {
                (V1ResponseStatus::Completed, V1ItemStatus::Completed)
            };
            response.status = status;
            response.incomplete_details = outcome
                .truncated
                .then(|| V1IncompleteDetails { reason: "max_output_tokens".to_owned(), extra: Extra::new() });
            response.usage = Some(usage(&outcome));
            response.output = vec![V1OutputItem::Message(V1OutputMessage {
                id: MessageId::with_suffix(&mint.suffix(now)),
                status: item_status,
                role: V1Role::Assistant,
                content: vec![V1OutputContent::OutputText(V1OutputText {
                    text: outcome.text,
                    annotations: Vec::new(),
                    extra: Extra::new(),
                })],
                extra: Extra::new(),
            })];
        }
        Err(failure) => {
            let code =
                if matches!(failure, Failure::Deadline(_)) { "deadline_exceeded" } else { "internal_error" };
            response.status = V1ResponseStatus::Failed;
            response.error = Some(V1ResponseError {
                code: code.to_owned(),
                message: "The response failed after it was queued.".to_owned(),
                extra: Extra::new(),
            });
        }
    }
    response
}

fn usage(outcome: &Outcome) -> V1ResponseUsage {
    let (input, output) = (outcome.reuse.input(), outcome.output_tokens);
    V1ResponseUsage {
        input_tokens: input,
        input_tokens_details: V1InputTokensDetails {
            cached_tokens: outcome.reuse.realized(),
            extra: Extra::new(),
        },
        output_tokens: output,
        output_tokens_details: V1OutputTokensDetails { reasoning_tokens: 0, extra: Extra::new() },
        total_tokens: input + output,
        extra: Extra::new(),
    }
}
