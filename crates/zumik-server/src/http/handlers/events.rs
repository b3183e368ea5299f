//! Events (contract `v2.md`, "Events").

use zumik_types::{AppendEventRequest, Event, EventType, List, NewEvent, SortOrder};

use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::{EventPage, Kind};

const DEFAULT_LIMIT: u32 = 100;
const LARGEST_LIMIT: u32 = 1_000;

/// `POST /v2/sessions/{session_id}/branches/{branch_id}/events`
pub(crate) async fn append(call: &mut Call) -> Result<Reply, ApiError> {
    let request = read(&Fields::of(&call.json()?))?;
    let (session, branch) = (call.path_id(0, Kind::Session)?, call.path_id(1, Kind::Branch)?);
    let store = &call.app.store;
    Ok(store.append_event(&call.ctx, &session, &branch, request, call.key.take()).await?.into())
}

/// `GET /v2/sessions/{session_id}/branches/{branch_id}/events`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let query = call.query();
    let page = EventPage {
        after: query.after()?,
        limit: query.count("limit", 1..=LARGEST_LIMIT)?.unwrap_or(DEFAULT_LIMIT),
        order: query.order()?.unwrap_or(SortOrder::Asc),
    };
    let (session, branch) = (call.path_id(0, Kind::Session)?, call.path_id(1, Kind::Branch)?);
    let page = call.app.store.list_events(&call.ctx, &session, &branch, page).await?;
    call.reply(&List::page(page.data, page.has_more, |event: &Event| event.id.as_str()))
}

fn read(fields: &Fields<'_, '_>) -> Result<AppendEventRequest, ApiError> {
    let expected_version = fields.count("expected_version")?;
    let expected_head = fields.patch_id("expected_head_event_id")?;
    let event = fields.object("event")?;
    let mut new = NewEvent::new(event.one_of("event_type", EventType::KNOWN)?);
    if let Some(payload) = event.optional_text("payload_ref")? {
        new = new.payload_ref(payload);
    }
    let mut request = AppendEventRequest::new(expected_version, new);
    request.expected_head_event_id = expected_head;
    Ok(request)
}
