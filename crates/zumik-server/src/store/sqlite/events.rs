//! Events: the one path by which they are written, and pages of a history.

use rusqlite::params;
use zumik_types::{
    AppendEventRequest, BranchId, Event, EventId, Extra, MergedFrom, ObjectType, SessionId, SortOrder,
};

use super::Db;
use super::branches::BranchRow;
use super::history::Node;
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::{check_active, check_guards, missing_artifact, named_artifact, whole_seconds};
use crate::store::{EventPage, Page, ProjectCtx, Result, StoreError};

/// An event to be appended.
pub(super) struct NewRow<'a> {
    pub(super) event_type: &'a str,
    pub(super) payload_ref: Option<&'a str>,
    /// The artifact that `payload_ref` names.
    pub(super) artifact: Option<i64>,
    /// Branch and event that it was merged from.
    pub(super) merged_from: Option<(i64, i64)>,
}

/// An event as it is stored.
pub(super) struct EventRow {
    pub(super) row: i64,
    key: [u8; 16],
    pub(super) branch: i64,
    pub(super) sequence: u64,
    parent: Option<i64>,
    pub(super) event_type: String,
    pub(super) payload_ref: Option<String>,
    pub(super) artifact: Option<i64>,
    created_at: i64,
    merged_from: Option<(i64, i64)>,
}

impl Db<'_> {
    pub(super) fn append_event(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: &AppendEventRequest,
    ) -> Result<Event> {
        let mut target = self.branch(ctx, session, branch)?;
        let payload_ref = request.event.payload_ref.as_deref();
        let artifact = match payload_ref.and_then(named_artifact) {
            None => None,
            Some(id) => Some(
                self.live_artifact(ctx, &id)?.ok_or_else(|| missing_artifact("event.payload_ref", &id))?,
            ),
        };
        check_active(&target.session_status)?;
        check_guards(&target.state, request.expected_version, &request.expected_head_event_id)?;
        let parent = target.state.head_event_id.clone();
        let event_type = request.event.event_type.as_str();
        let new = NewRow { event_type, payload_ref, artifact, merged_from: None };
        let id = self.push_event(ctx, &mut target, &new)?;
        self.move_head(&target)?;
        Ok(Event {
            id,
            object: ObjectType::Event,
            session_id: session.clone(),
            branch_id: branch.clone(),
            parent_event_id: parent,
            sequence: target.state.version,
            event_type: request.event.event_type.clone(),
            payload_ref: request.event.payload_ref.clone(),
            created_at: whole_seconds(ctx.now),
            merged_from: None,
            extra: Extra::new(),
        })
    }

    /// Inserts an event behind the head of `branch`, in memory the new head. [`move_head`](Self::move_head)
    /// must follow in the same transaction.
    pub(super) fn push_event(
        &self,
        ctx: &ProjectCtx,
        branch: &mut BranchRow,
        new: &NewRow<'_>,
    ) -> Result<EventId> {
        let (id, key) = self.mint::<EventId>(ctx);
        let sequence = branch.state.version + 1;
        let row = self.insert(
            "INSERT INTO events (public_id, branch, sequence, parent, jump, event_type, payload_ref, artifact,
               created_at, merged_branch, merged_event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                key,
                branch.id,
                sequence,
                branch.head.map(|head| head.row),
                self.jump_of_next(branch.head)?,
                new.event_type,
                new.payload_ref,
                new.artifact,
                seconds(ctx.now),
                new.merged_from.map(|(branch, _)| branch),
                new.merged_from.map(|(_, event)| event),
            ],
        )?;
        branch.head = Some(Node { row, sequence });
        branch.state.version = sequence;
        branch.state.head_event_id = Some(id.clone());
        Ok(id)
    }

    /// Makes the head in memory that of the stored branch.
    pub(super) fn move_head(&self, branch: &BranchRow) -> Result<()> {
        self.run(
            "UPDATE branches SET head = ?2, version = ?3 WHERE id = ?1",
            params![branch.id, branch.head.map(|head| head.row), branch.state.version],
        )?;
        Ok(())
    }

    pub(super) fn list_events(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        page: &EventPage,
    ) -> Result<Page<Event>> {
        let branch = self.branch(ctx, session, branch)?;
        let version = branch.state.version;
        let after = match &page.after {
            None => None,
            Some(id) => Some(self.reachable(&branch, id)?.ok_or_else(|| {
                StoreError::reference("after", format!("no event with id '{id}' is in this history"))
            })?),
        };
        let limit = u64::from(page.limit);
        let descending = page.order == SortOrder::Desc;
        // The page is the sequences `first..=last`.
        let (first, last) = if descending {
            let last = after.map_or(version, |node| node.sequence - 1);
            (last.saturating_sub(limit) + 1, last)
        } else {
            let first = after.map_or(1, |node| node.sequence + 1);
            (first, version.min(first + limit - 1))
        };
        let mut data = self.events_between(session, branch.head, first, last)?;
        if descending {
            data.reverse();
        }
        let has_more = !data.is_empty() && if descending { first > 1 } else { last < version };
        Ok(Page { data, has_more })
    }

    /// The events with these sequences up to `head`, in order.
    pub(super) fn events_between(
        &self,
        session: &SessionId,
        head: Option<Node>,
        first: u64,
        last: u64,
    ) -> Result<Vec<Event>> {
        let rows = self.event_rows_between(head, first, last)?;
        let mut branches = Vec::<(i64, BranchId)>::new();
        let mut events = Vec::<Event>::with_capacity(rows.len());
        for row in rows {
            let parent_event_id = match (events.last(), row.parent) {
                (Some(before), _) => Some(before.id.clone()),
                (None, Some(parent)) => Some(self.event_id(parent)?),
                (None, None) => None,
            };
            let branch_id = match branches.iter().find(|(branch, _)| *branch == row.branch) {
                Some((_, id)) => id.clone(),
                None => {
                    let id = self.branch_id(row.branch)?;
                    branches.push((row.branch, id.clone()));
                    id
                }
            };
            let merged_from = match row.merged_from {
                None => None,
                Some((branch, event)) => Some(MergedFrom {
                    branch_id: self.branch_id(branch)?,
                    event_id: self.event_id(event)?,
                    extra: Extra::new(),
                }),
            };
            events.push(Event {
                id: EventId::from_key(row.key),
                object: ObjectType::Event,
                session_id: session.clone(),
                branch_id,
                parent_event_id,
                sequence: row.sequence,
                event_type: row.event_type.into(),
                payload_ref: row.payload_ref,
                created_at: time(row.created_at),
                merged_from,
                extra: Extra::new(),
            });
        }
        Ok(events)
    }

    /// The rows with these sequences up to `head`, in order.
    pub(super) fn event_rows_between(
        &self,
        head: Option<Node>,
        first: u64,
        last: u64,
    ) -> Result<Vec<EventRow>> {
        let mut next = match head {
            Some(head) if first <= last => self.ancestor(head, last)?.map(|node| node.row),
            _ => None,
        };
        let mut rows = Vec::new();
        while let Some(row) = next {
            let row = self.event_row(row)?;
            if row.sequence < first {
                break;
            }
            next = row.parent;
            rows.push(row);
        }
        rows.reverse();
        Ok(rows)
    }

    pub(super) fn event_row(&self, row: i64) -> Result<EventRow> {
        self.one(
            "SELECT public_id, branch, sequence, parent, event_type, payload_ref, artifact, created_at,
               merged_branch, merged_event FROM events WHERE id = ?1",
            [row],
            |columns| {
                Ok(EventRow {
                    row,
                    key: columns.get(0)?,
                    branch: columns.get(1)?,
                    sequence: columns.get(2)?,
                    parent: columns.get(3)?,
                    event_type: columns.get(4)?,
                    payload_ref: columns.get(5)?,
                    artifact: columns.get(6)?,
                    created_at: columns.get(7)?,
                    merged_from: columns.get::<_, Option<_>>(8)?.zip(columns.get(9)?),
                })
            },
        )?
        .ok_or_else(|| StoreError::internal("an event is missing"))
    }

    fn event_id(&self, row: i64) -> Result<EventId> {
        self.value("SELECT public_id FROM events WHERE id = ?1", [row]).map(EventId::from_key)
    }

    fn branch_id(&self, row: i64) -> Result<BranchId> {
        self.value("SELECT public_id FROM branches WHERE id = ?1", [row]).map(BranchId::from_key)
    }
}
