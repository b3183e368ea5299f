//! Asking a provider for a response: in the Responses API, or for a chat completion where it has no other.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use zumik_types::{ArtifactId, SessionId, V1ResponseId};

use super::super::generations::{SESSION_REF, session_prefix};
use super::super::hints::Wishes;
use super::history::{Items, is_unsealed, replayed};
use crate::app::App;
use crate::domain::Place;
use crate::engine::members::Members;
use crate::engine::{
    Api, Asked, ChatMessage, Compiled, Failure, ModelAnswer, ModelCall, Route, Sent, Surface, Wanted,
};
use crate::http::ApiError;
use crate::http::call::Call;
use crate::openai::{Input, Untranslatable, to_chat};

/// Members that this server answers for, so that no provider sees them.
const HANDLED: [&str; 4] = ["previous_response_id", "conversation", "background", "metadata"];

/// What a provider is asked: nothing of the request can be wrong any more but what the provider finds.
pub(super) struct Question {
    asked: Asked,
    /// Where it goes.
    pub(super) route: Route,
    /// Artifacts whose text is in the prompt.
    pub(super) materialized: Vec<ArtifactId>,
    /// The body as it was sent, and its members.
    body: Bytes,
    members: Map<String, Value>,
    /// What comes before the input: the session, then earlier responses.
    before: Vec<Value>,
    /// What the messages of the session are.
    places: Arc<[Place]>,
    before_param: &'static str,
    /// The input, and whether it is still as it was sent.
    own: Vec<Value>,
    opened: bool,
}

/// The parts of a question.
pub(super) struct Asking<'a> {
    /// Id of the response.
    pub(super) id: &'a V1ResponseId,
    pub(super) model: &'a str,
    pub(super) session_id: Option<SessionId>,
    pub(super) wishes: Wishes,
    /// The body, and its members.
    pub(super) body: Bytes,
    pub(super) members: Map<String, Value>,
    pub(super) items: Items,
}

/// Which of its APIs a provider answered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Responses,
    Chat,
}

impl Question {
    /// Reads the state of the session and finds where the question goes.
    ///
    /// # Errors
    /// The session cannot be used, or nobody knows the model.
    pub(super) async fn prepare(call: &Call, asking: Asking<'_>) -> Result<Self, ApiError> {
        let started = Instant::now();
        let past = call.app.reuse.past(&call.ctx.project).await;
        let Asking { id, model, session_id, wishes: Wishes { qos, routing }, body, members, items } = asking;
        let (mut before, mut materialized, mut branch_id) = (Vec::new(), Vec::new(), None);
        let mut places = Vec::new();
        if let Some(session) = &session_id {
            let prefix = session_prefix(&call.app, &call.ctx, session).await?;
            before = prefix.messages.iter().map(|message| json!(ChatMessage::from(message))).collect();
            (places, materialized, branch_id) = (prefix.places, prefix.materialized, prefix.branch_id);
        }
        let before_param = if items.before.is_empty() { SESSION_REF } else { items.before_param };
        before.extend(items.before);
        let prompt =
            Members::of(&body).ok().and_then(|members| std::str::from_utf8(members.get("input")?).ok());
        let asked = Asked {
            ctx: call.ctx.clone(),
            surface: Surface::V1Responses,
            object_id: id.to_string(),
            session_id,
            branch_id,
            qos,
            started,
            past,
            comes_again: false,
        };
        let wanted = Wanted { asked: &asked, model, prompt: prompt.unwrap_or_default(), routing: &routing };
        let route = call.app.engine.resolve(&wanted).await?;
        call.app.limits.generation(&call.ctx.key)?;
        Ok(Self {
            asked,
            route,
            materialized,
            body,
            members,
            before,
            places: places.into(),
            before_param,
            own: items.own,
            opened: items.opened,
        })
    }

    /// Asks: each target in the API that it speaks.
    ///
    /// # Errors
    /// No provider answered, or the request cannot be put as a chat completion to those that speak nothing else.
    pub(super) async fn ask(&self, app: &App, stream: bool) -> Result<(Spoken, ModelAnswer), ApiError> {
        let as_chat = || self.as_chat();
        let call = ModelCall {
            asked: self.asked.clone(),
            route: self.route.clone(),
            sent: self.as_response()?,
            as_chat: Some(&as_chat),
            stream,
        };
        let answer = app.engine.call(call).await?;
        let spoken = if answer.api == Api::Responses { Spoken::Responses } else { Spoken::Chat };
        Ok((spoken, answer))
    }

    /// For the Responses API: the body as it was sent but for what this server answers for, for what comes before the
    /// input, and for what no provider has kept of it.
    fn as_response(&self) -> Result<Sent, ApiError> {
        let members = Members::of(&self.body).map_err(ApiError::internal)?;
        let edit = HANDLED.iter().fold(members.edit(), |edit, name| edit.remove(name));
        let mut edit = edit.set("store", &b"false"[..]);
        // Clients send the items of an answer back as they came. One that cannot be sent again goes, and then the ids of
        // the others, by which a provider would know that it is missing.
        let replays = self.own.iter().any(is_unsealed);
        if replays || self.opened || !self.before.is_empty() {
            let mut items: Vec<_> = self.before.iter().map(Cow::Borrowed).collect();
            if replays {
                items.extend(self.own.iter().cloned().filter_map(replayed).map(Cow::Owned));
            } else {
                items.extend(self.own.iter().map(Cow::Borrowed));
            }
            edit = edit.set("input", serde_json::to_vec(&items).map_err(ApiError::internal)?);
        }
        let compiled = Compiled::behind(0, Arc::clone(&self.places));
        Ok(Sent { api: Api::Responses, body: edit.finish().into(), compiled })
    }

    /// For a chat completion, in which the instructions are the first message.
    fn as_chat(&self) -> Result<Sent, Failure> {
        let mut members = self.members.clone();
        members.retain(|name, _| name != "input" && name != "store" && !HANDLED.contains(&name.as_str()));
        let input = Input { before: &self.before, before_param: self.before_param, own: &self.own };
        let chat = to_chat(&members, input)?;
        let body = serde_json::to_vec(&chat).map_err(|error| Failure::Internal(error.into()))?.into();
        let instructions = self.members.get("instructions").filter(|text| !text.is_null());
        let compiled = Compiled::behind(instructions.iter().count(), Arc::clone(&self.places));
        Ok(Sent { api: Api::ChatCompletions, body, compiled })
    }
}

impl From<Untranslatable> for Failure {
    fn from(error: Untranslatable) -> Self {
        let message = format!("{error}.");
        Self::Untranslatable { param: error.param, message }
    }
}
