//! The body and headers of `POST /v1/responses`, as far as they mean the same to every engine.

use serde_json::{Map, Value};
use zumik_types::{ConversationId, PrivacyMode, SessionId};

use crate::http::ApiError;
use crate::http::call::Call;
use crate::http::handlers::generations::{privacy_mode, session_ref};
use crate::http::handlers::hints::{self, Wishes};
use crate::http::input::Fields;
use crate::store::Continued;

/// A request that is right by itself, but for what only the engine that answers it can judge.
pub(super) struct Request {
    /// All members, as they were sent.
    pub(super) members: Map<String, Value>,
    /// The items of `input`.
    pub(super) input: Vec<Value>,
    /// The model as the caller named it.
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) store: bool,
    pub(super) background: bool,
    /// What comes before the input.
    pub(super) continues: Option<Continued>,
    /// Whether the input items are kept with the response.
    pub(super) retains_input: bool,
    /// The session in the header.
    pub(super) session_id: Option<SessionId>,
    pub(super) wishes: Wishes,
}

impl Request {
    /// Reads body and headers, in the order of the contract's table.
    pub(super) async fn read(call: &Call) -> Result<Self, ApiError> {
        let members = call.json()?;
        let fields = Fields::of(&members);
        let model = fields.model()?.to_owned();
        let input = input(&fields)?;
        fields.optional_text("instructions")?;
        let stream = fields.optional_flag("stream")?.unwrap_or(false);
        let store = fields.optional_flag("store")?.unwrap_or(true);
        let background = fields.optional_flag("background")?.unwrap_or(false);
        if background && !store {
            let problem = "must be false when 'store' is: what is not kept cannot be polled";
            return Err(fields.invalid("background", problem));
        }
        if background && stream {
            return Err(fields.invalid("background", "must not stand together with 'stream'"));
        }
        let continues = continued(&fields)?;
        fields.optional_object("metadata")?;
        let mode = privacy_mode(call)?;
        let session_id = session_ref(call)?;
        let wishes = hints::wanted(call, None).await?;
        let retains_input = store && mode == PrivacyMode::EncryptedFullFidelity;
        Ok(Self {
            input,
            model,
            stream,
            store,
            background,
            continues,
            retains_input,
            session_id,
            wishes,
            members,
        })
    }
}

/// `input` as items: a text is one message of the user. What an item says is for the engine to judge.
///
/// # Errors
/// 400 for an empty input, and for what is neither text nor objects.
pub(super) fn input(fields: &Fields<'_, '_>) -> Result<Vec<Value>, ApiError> {
    match fields.value("input") {
        None => Err(fields.invalid("input", "is required")),
        Some(Value::String(_)) => {
            let text = fields.filled_text("input")?;
            Ok(vec![serde_json::json!({ "role": "user", "content": text })])
        }
        Some(Value::Array(items)) => {
            fields.filled_items("input", usize::MAX)?.map(|item| item.object().map(drop))?;
            Ok(items.clone())
        }
        Some(_) => Err(fields.invalid("input", "must be a string or an array")),
    }
}

/// `previous_response_id` or `conversation`.
pub(super) fn continued(fields: &Fields<'_, '_>) -> Result<Option<Continued>, ApiError> {
    let previous = fields.optional_id("previous_response_id")?;
    let conversation: Option<ConversationId> = match fields.value("conversation") {
        Some(value) if value.is_object() => Some(fields.object("conversation")?.id("id")?),
        _ => fields.optional_id("conversation")?,
    };
    match (previous, conversation) {
        (Some(_), Some(_)) => {
            Err(fields.invalid("conversation", "must not stand together with 'previous_response_id'"))
        }
        (Some(id), None) => Ok(Some(Continued::Response(id))),
        (None, Some(id)) => Ok(Some(Continued::Conversation(id))),
        (None, None) => Ok(None),
    }
}
