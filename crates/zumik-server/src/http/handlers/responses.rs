//! Native responses (contract `v2.md`, "Responses").

use zumik_types::{Extra, NativeResponse, NativeUsage, ObjectType, ResponseId, ResponseStatus};

use super::generations::{Kept, headers, keep, privacy_mode};
use super::hints::{self, Wishes};
use crate::domain::{Message, Place, Role};
use crate::engine::{Generation, Held, Outcome, Part, Prepared, Reservation, Surface};
use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::{Kind, PromptState, StoredResponse};

/// `POST /v2/responses`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let generation = read(call).await?;
    privacy_mode(call)?;
    let held = match Held::reserve(&call.app, &call.ctx, call.key.take()).await? {
        Reservation::Held(held) => held,
        Reservation::Replayed(answer) => return Ok(Reply::replayed(answer)),
    };
    let model = generation.model.clone();
    let id = ResponseId::with_suffix(&call.app.mint.suffix(call.ctx.now));
    let prepared = generation.prepare(&call.app, &call.ctx, Surface::V2Responses, id.as_str()).await?;
    call.app.limits.generation(&call.ctx.key)?;
    let outcome = prepared.run(&call.app).await?;
    let headers = headers(&outcome.target, &outcome.qos);
    let response = response(call, id, model, &prepared, outcome);
    let kept = Kept {
        response: Some(StoredResponse::Native(Box::new(response.clone()))),
        begun: false,
        input_items: None,
        materialized: prepared.materialized,
        headers,
    };
    keep(call, held, kept, &response).await
}

/// `GET /v2/responses/{response_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Response)?;
    let response = call.app.store.retrieve_response(&call.ctx, &id).await?;
    call.reply(&response)
}

/// `POST /v2/responses/{response_id}/cancel`
pub(crate) async fn cancel(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Response)?;
    Ok(call.app.store.cancel_response(&call.ctx, &id, call.key.take()).await?.into())
}

async fn read(call: &Call) -> Result<Generation, ApiError> {
    let body = call.json()?;
    let fields = Fields::of(&body);
    let model = fields.model()?.to_owned();
    let input = fields.filled_text("input")?.to_owned();
    let session_id = fields.optional_id("session_id")?;
    let branch_id = fields.optional_id("branch_id")?;
    let bundle_id = match fields.optional_id("bundle_id")? {
        None => fields.optional_id("bundle")?,
        given => given,
    };
    let snapshot_id = fields.optional_id("snapshot_id")?;
    if bundle_id.is_some() && snapshot_id.is_some() {
        return Err(fields.invalid("snapshot_id", "must not stand together with 'bundle_id'"));
    }
    let Wishes { qos, routing } = hints::wanted(call, Some(&fields)).await?;
    Ok(Generation {
        model,
        state: PromptState { session_id, branch_id, bundle_id, snapshot_id },
        own: vec![Part { message: Message { role: Role::User, text: input }, place: Place::User }],
        qos,
        routing,
        max_output_tokens: None,
    })
}

fn response(
    call: &Call,
    id: ResponseId,
    model: String,
    prepared: &Prepared,
    outcome: Outcome,
) -> NativeResponse {
    NativeResponse {
        id,
        object: ObjectType::Response,
        project_id: call.ctx.project.clone(),
        created_at: call.created_at(),
        status: ResponseStatus::Completed,
        model,
        session_id: prepared.session_id().cloned(),
        branch_id: prepared.branch_id().cloned(),
        output_text: Some(outcome.text),
        execution_profile: Some(outcome.target.profile),
        alias_release_id: outcome.target.release,
        trace_id: call.ctx.trace.clone(),
        usage: NativeUsage {
            input_tokens: outcome.reuse.input(),
            output_tokens: outcome.output_tokens,
            candidate_reuse_tokens: outcome.reuse.candidate(),
            realized_reused_tokens: outcome.reuse.realized(),
            missed_opportunity_tokens: outcome.reuse.missed(),
            reuse_evidence_level: outcome.evidence,
            extra: Extra::new(),
        },
        qos_outcome: outcome.qos,
        error: None,
        extra: Extra::new(),
    }
}
