//! The body of `POST /v1/responses`.

use serde_json::Value;
use zumik_types::{
    ConversationId, Extra, JsonObject, PrivacyMode, Qos, SessionId, V1PlainTextFormat, V1ResponseId,
    V1TextConfig, V1TextFormat, V1Tool, V1ToolChoice, V1ToolChoiceMode,
};

use super::items::{self, Turn};
use crate::domain::{Message, Role};
use crate::engine::{Failure, Generation, Part};
use crate::http::ApiError;
use crate::http::call::Call;
use crate::http::error::excerpt;
use crate::http::handlers::{generations::privacy_mode, hints};
use crate::http::input::Fields;
use crate::store::{PromptState, StoreError};

/// The member that puts the items of an earlier response before the input.
const PREVIOUS: &str = "previous_response_id";

/// The header that puts the state of a session before the input.
const SESSION_REF: &str = "Agent-Session-Ref";

/// A request that is right by itself.
pub(super) struct Request {
    pub(super) echo: Echo,
    /// `input` as it was sent.
    pub(super) input: Value,
    /// Whether the input items are kept with the response.
    pub(super) retains_input: bool,
    turns: Vec<Turn>,
    session_id: Option<SessionId>,
    qos: Qos,
}

/// The members that the response repeats.
pub(super) struct Echo {
    pub(super) model: String,
    pub(super) instructions: Option<String>,
    pub(super) store: bool,
    pub(super) background: bool,
    pub(super) previous_response_id: Option<V1ResponseId>,
    pub(super) metadata: JsonObject,
    pub(super) temperature: f64,
    pub(super) top_p: f64,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) tools: Vec<V1Tool>,
    pub(super) tool_choice: V1ToolChoice,
    pub(super) parallel_tool_calls: bool,
    pub(super) text: V1TextConfig,
    pub(super) truncation: String,
}

impl Request {
    /// Reads body and headers, in the order of the contract's table.
    pub(super) fn read(call: &Call) -> Result<Self, ApiError> {
        let body = call.json()?;
        let fields = Fields::of(&body);
        let model = fields.filled_text("model")?.to_owned();
        let turns = items::read(&fields)?;
        let instructions = fields.optional_text("instructions")?.map(str::to_owned);
        if fields.optional_flag("stream")? == Some(true) {
            return Err(fields.invalid("stream", "must be false: this server answers responses as a whole"));
        }
        let store = fields.optional_flag("store")?.unwrap_or(true);
        let background = fields.optional_flag("background")?.unwrap_or(false);
        if background && !store {
            let problem = "must be false when 'store' is: what is not kept cannot be polled";
            return Err(fields.invalid("background", problem));
        }
        let previous_response_id = previous_response(&fields)?;
        let metadata = fields.optional_map("metadata")?.unwrap_or_default();
        let temperature = fields.optional_number("temperature", 0.0..=2.0)?.unwrap_or(1.0);
        let top_p = fields.optional_number("top_p", 0.0..=1.0)?.unwrap_or(1.0);
        let max_output_tokens = fields.optional_count("max_output_tokens", 1..=u64::MAX)?;
        let tools = match fields.optional_items("tools")? {
            Some(items) => items.map(|item| {
                let tool = item.object()?;
                tool.filled_text("type")?;
                item.typed()
            })?,
            None => Vec::new(),
        };
        let tool_choice = tool_choice(&fields)?;
        let parallel_tool_calls = fields.optional_flag("parallel_tool_calls")?.unwrap_or(true);
        let text = text(&fields)?;
        fields.optional_object("reasoning")?;
        let truncation = fields.optional_text("truncation")?.unwrap_or("disabled").to_owned();
        if let Some(include) = fields.optional_items("include")? {
            include.map(|name| name.text())?;
        }
        fields.optional_text("service_tier")?;
        fields.optional_text("user")?;
        let mode = privacy_mode(call)?;
        let session_id = session_in_header(call)?;
        let qos = hints::wanted(call, None)?;
        let echo = Echo {
            model,
            instructions,
            store,
            background,
            previous_response_id,
            metadata,
            temperature,
            top_p,
            max_output_tokens,
            tools,
            tool_choice,
            parallel_tool_calls,
            text,
            truncation,
        };
        let input = fields.value("input").cloned().unwrap_or_default();
        let retains_input = store && mode == PrivacyMode::EncryptedFullFidelity;
        Ok(Self { echo, input, retains_input, turns, session_id, qos })
    }

    /// What is to be generated: the instructions, the items of earlier responses, then the input.
    pub(super) fn generation(self, earlier: Vec<Turn>) -> (Generation, Echo) {
        let mut own = items::parts(earlier.into_iter().chain(self.turns).collect());
        if let Some(instructions) = &self.echo.instructions {
            let message = Message { role: Role::System, text: instructions.clone() };
            own.insert(0, Part { message, eligible: true });
        }
        let generation = Generation {
            model: self.echo.model.clone(),
            state: PromptState { session_id: self.session_id, ..PromptState::default() },
            own,
            qos: self.qos,
            max_output_tokens: self.echo.max_output_tokens,
        };
        (generation, self.echo)
    }
}

/// `previous_response_id`; a `conversation` would do the same with all responses of one.
///
/// # Errors
/// 400 when both are given, and for any conversation: this server has none.
fn previous_response(fields: &Fields<'_, '_>) -> Result<Option<V1ResponseId>, ApiError> {
    let previous = fields.optional_id(PREVIOUS)?;
    let conversation: Option<ConversationId> = match fields.value("conversation") {
        Some(value) if value.is_object() => Some(fields.object("conversation")?.id("id")?),
        _ => fields.optional_id("conversation")?,
    };
    match conversation {
        None => Ok(previous),
        Some(_) if previous.is_some() => {
            Err(fields.invalid("conversation", "must not stand together with 'previous_response_id'"))
        }
        Some(id) => {
            Err(fields.invalid("conversation", format_args!("names nothing in this project: '{id}'")))
        }
    }
}

fn tool_choice(fields: &Fields<'_, '_>) -> Result<V1ToolChoice, ApiError> {
    const HONORED: &[V1ToolChoiceMode] = &[V1ToolChoiceMode::None, V1ToolChoiceMode::Auto];
    if fields.value("tool_choice").is_some_and(|value| !value.is_string()) {
        return Err(
            fields.invalid("tool_choice", "must be 'none' or 'auto': no model is there to call a tool")
        );
    }
    let mode = fields.optional_one_of("tool_choice", HONORED)?;
    Ok(V1ToolChoice::Mode(mode.unwrap_or(V1ToolChoiceMode::Auto)))
}

fn text(fields: &Fields<'_, '_>) -> Result<V1TextConfig, ApiError> {
    let Some(text) = fields.optional_object("text")? else { return Ok(plain_text(V1TextConfig::new())) };
    if let Some(format) = text.optional_object("format")?
        && format.text("type")? != "text"
    {
        let problem = "must be {\"type\":\"text\"}: no model is there to follow a schema";
        return Err(text.invalid("format", problem));
    }
    Ok(plain_text(fields.typed("text")?))
}

fn plain_text(mut config: V1TextConfig) -> V1TextConfig {
    config.format.get_or_insert(V1TextFormat::Text(V1PlainTextFormat { extra: Extra::new() }));
    config
}

/// The session that `Agent-Session-Ref` names.
fn session_in_header(call: &Call) -> Result<Option<SessionId>, ApiError> {
    let Some(value) = call.raw_header(SESSION_REF) else { return Ok(None) };
    let id = String::from_utf8_lossy(value);
    id.parse().map(Some).map_err(|_| {
        ApiError::invalid(SESSION_REF, format!("'{SESSION_REF}' names no session: '{}'.", excerpt(&id)))
    })
}

/// A failure of the state, which only the header can have led to.
pub(super) fn in_header(failure: Failure) -> ApiError {
    match failure {
        Failure::State(StoreError::Reference { problem, .. }) => {
            ApiError::invalid(SESSION_REF, format!("'{SESSION_REF}': {problem}."))
        }
        Failure::Prompt(mut error) => {
            error.param = SESSION_REF;
            Failure::Prompt(error).into()
        }
        other => other.into(),
    }
}
