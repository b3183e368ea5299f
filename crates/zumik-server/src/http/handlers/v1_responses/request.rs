//! The body of `POST /v1/responses`.

use zumik_types::{
    ConversationId, Extra, JsonObject, SessionId, V1PlainTextFormat, V1ResponseId, V1TextConfig,
    V1TextFormat, V1Tool, V1ToolChoice, V1ToolChoiceMode,
};

use super::items;
use crate::domain::{Message, Role};
use crate::engine::{Failure, Generation, Part};
use crate::http::ApiError;
use crate::http::call::Call;
use crate::http::error::excerpt;
use crate::http::handlers::{generations::privacy_mode, hints};
use crate::http::input::Fields;
use crate::store::{PromptState, StoreError};

/// The header that puts the state of a session before the input.
const SESSION_REF: &str = "Agent-Session-Ref";

/// A request that can be run.
pub(super) struct Request {
    pub(super) generation: Generation,
    pub(super) echo: Echo,
    /// Whether the response can be retrieved later.
    pub(super) store: bool,
    /// Whether it is answered before it has run.
    pub(super) background: bool,
}

/// The members that the response repeats.
pub(super) struct Echo {
    pub(super) model: String,
    pub(super) instructions: Option<String>,
    pub(super) store: bool,
    pub(super) background: bool,
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
        let mut own = items::read(&fields)?;
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
        earlier_items(&fields)?;
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
        privacy_mode(call)?;

        if let Some(instructions) = &instructions {
            let message = Message { role: Role::System, text: instructions.clone() };
            own.insert(0, Part { message, eligible: true });
        }
        let state = PromptState { session_id: session_in_header(call)?, ..PromptState::default() };
        let qos = hints::wanted(call, None)?;
        let echo = Echo {
            model: model.clone(),
            instructions,
            store,
            background,
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
        Ok(Self {
            generation: Generation { model, state, own, qos, max_output_tokens },
            echo,
            store,
            background,
        })
    }
}

/// `previous_response_id` and `conversation` put retained items before `input`.
///
/// # Errors
/// 400 for either of them: this server retains no input items, so neither can be honored.
fn earlier_items(fields: &Fields<'_, '_>) -> Result<(), ApiError> {
    let previous = fields.optional_id::<V1ResponseId>("previous_response_id")?;
    let conversation: Option<ConversationId> = match fields.value("conversation") {
        Some(value) if value.is_object() => Some(fields.object("conversation")?.id("id")?),
        _ => fields.optional_id("conversation")?,
    };
    match (previous, conversation) {
        (None, None) => Ok(()),
        (Some(_), Some(_)) => {
            Err(fields.invalid("conversation", "must not stand together with 'previous_response_id'"))
        }
        (Some(_), None) => {
            let problem = "cannot be honored: the input items of that response were not retained";
            Err(fields.invalid("previous_response_id", problem))
        }
        (None, Some(id)) => {
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
