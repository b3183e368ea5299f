//! Events: pages of a history, and how several are appended at once.

use tokio_postgres::Row;
use zumik_types::{BranchId, Event, EventId, Extra, MergedFrom, ObjectType, SessionId, SortOrder};

use super::branches::BranchRow;
use super::db::{Db, count, id, optional_id, optional_text, stored, text};
use super::history::{Node, broken};
use crate::store::durable::history::jump_sequence;
use crate::store::durable::times::{seconds, time};
use crate::store::{EventPage, Page, ProjectCtx, Result, StoreError};

/// An event to be appended.
pub(super) struct NewRow<'a> {
    pub(super) key: [u8; 16],
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
    pub(super) artifact: Option<i64>,
    pub(super) event: Event,
}

/// The branches that hold the events from sequence `$3` up to the ancestor of `$1` with sequence `$2`, each with its last of
/// these. The events themselves are then found along the index of each branch.
macro_rules! segments {
    () => {
        concat!(
            "WITH RECURSIVE ",
            $crate::store::postgres::history::seek!(),
            ", segment AS (
               SELECT branch, sequence AS top FROM seek WHERE sequence = $2
               UNION ALL
               SELECT p.branch, p.sequence FROM segment s
               CROSS JOIN LATERAL (SELECT parent FROM events WHERE branch = s.branch ORDER BY sequence LIMIT 1) f
               JOIN events p ON p.id = f.parent
               WHERE p.sequence >= $3)"
        )
    };
}
pub(super) use segments;

/// The events from sequence `$3` up to the ancestor of `$1` with sequence `$2`, in order.
const BETWEEN: &str = concat!(
    segments!(),
    " SELECT e.id, e.public_id, b.public_id, p.public_id, e.sequence, e.event_type, e.payload_ref, e.artifact,
       e.created_at, mb.public_id, me.public_id
     FROM segment s
     JOIN events e ON e.branch = s.branch AND e.sequence BETWEEN $3 AND s.top
     JOIN branches b ON b.id = e.branch
     LEFT JOIN events p ON p.id = e.parent
     LEFT JOIN branches mb ON mb.id = e.merged_branch
     LEFT JOIN events me ON me.id = e.merged_event
     ORDER BY e.sequence"
);

impl Db<'_, '_> {
    pub(super) async fn list_events(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        page: &EventPage,
    ) -> Result<Page<Event>> {
        let branch = self.branch(ctx, session, branch).await?;
        let version = branch.state.version;
        let after = match &page.after {
            None => None,
            Some(id) => Some(self.reachable(&branch, id).await?.ok_or_else(|| {
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
        let mut data = self.events_between(session, branch.head, first, last).await?;
        if descending {
            data.reverse();
        }
        let has_more = !data.is_empty() && if descending { first > 1 } else { last < version };
        Ok(Page { data, has_more })
    }

    /// The events with these sequences up to `head`, in order.
    pub(super) async fn events_between(
        &self,
        session: &SessionId,
        head: Option<Node>,
        first: u64,
        last: u64,
    ) -> Result<Vec<Event>> {
        let rows = self.event_rows_between(session, head, first, last).await?;
        Ok(rows.into_iter().map(|row| row.event).collect())
    }

    /// As [`events_between`](Self::events_between), with their rows.
    pub(super) async fn event_rows_between(
        &self,
        session: &SessionId,
        head: Option<Node>,
        first: u64,
        last: u64,
    ) -> Result<Vec<EventRow>> {
        let Some(head) = head.filter(|_| first <= last) else { return Ok(Vec::new()) };
        let last = last.min(head.sequence);
        let rows =
            self.all(BETWEEN, &[&head.row, &stored(last), &stored(first)], |row| read(session, row)).await?;
        // The net under the walk: no gaps.
        if rows.len() as u64 == (last + 1).saturating_sub(first) { Ok(rows) } else { Err(broken()) }
    }

    /// Appends events to `branch`, which this transaction holds, and makes the last one its head.
    pub(super) async fn push_events(
        &self,
        ctx: &ProjectCtx,
        branch: &mut BranchRow,
        new: &[NewRow<'_>],
    ) -> Result<()> {
        let mut spine = self.spine(branch.head).await?;
        let ids = self
            .all(
                "SELECT nextval('event_rows') FROM generate_series(1, $1::bigint)",
                &[&stored(new.len() as u64)],
                |row| Ok(row.try_get::<_, i64>(0)?),
            )
            .await?;
        let first = branch.state.version + 1;
        let (mut parents, mut jumps, mut jump_sequences) = (Vec::new(), Vec::new(), Vec::new());
        for (sequence, row) in (first..).zip(&ids) {
            parents.push(spine.head().map(|node| node.row));
            jumps.push(spine.next_jump().map(|node| node.row));
            jump_sequences.push(stored(jump_sequence(sequence)));
            spine.push(*row);
        }
        let keys: Vec<&[u8]> = new.iter().map(|event| &event.key[..]).collect();
        let types: Vec<&[u8]> = new.iter().map(|event| event.event_type.as_bytes()).collect();
        let payloads: Vec<Option<&[u8]>> =
            new.iter().map(|event| event.payload_ref.map(str::as_bytes)).collect();
        let artifacts: Vec<Option<i64>> = new.iter().map(|event| event.artifact).collect();
        let merged_branches: Vec<Option<i64>> =
            new.iter().map(|event| event.merged_from.map(|(branch, _)| branch)).collect();
        let merged_events: Vec<Option<i64>> =
            new.iter().map(|event| event.merged_from.map(|(_, event)| event)).collect();
        let version = first - 1 + new.len() as u64;
        let moved = self
            .run(
                "WITH new AS (
                   INSERT INTO events (id, public_id, branch, sequence, parent, jump, jump_sequence, event_type,
                     payload_ref, artifact, created_at, merged_branch, merged_event)
                   SELECT n.id, n.public_id, $1, $2 + n.at, n.parent, n.jump, n.jump_sequence, n.event_type,
                     n.payload_ref, n.artifact, $3, n.merged_branch, n.merged_event
                   FROM unnest($4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[],
                     $10::bytea[], $11::bigint[], $12::bigint[], $13::bigint[]) WITH ORDINALITY
                     AS n (id, public_id, parent, jump, jump_sequence, event_type, payload_ref, artifact,
                       merged_branch, merged_event, at))
                 UPDATE branches SET head = $14, version = $15 WHERE id = $1 AND version = $2",
                &[
                    &branch.id,
                    &stored(branch.state.version),
                    &seconds(ctx.now),
                    &ids,
                    &keys,
                    &parents,
                    &jumps,
                    &jump_sequences,
                    &types,
                    &payloads,
                    &artifacts,
                    &merged_branches,
                    &merged_events,
                    &ids.last(),
                    &stored(version),
                ],
            )
            .await?;
        if moved != 1 {
            return Err(StoreError::internal("a branch moved while it was held"));
        }
        branch.head = spine.head();
        branch.state.version = version;
        Ok(())
    }
}

fn read(session: &SessionId, row: &Row) -> Result<EventRow> {
    let merged_from = match (optional_id::<BranchId>(row, 9)?, optional_id::<EventId>(row, 10)?) {
        (Some(branch_id), Some(event_id)) => Some(MergedFrom { branch_id, event_id, extra: Extra::new() }),
        _ => None,
    };
    Ok(EventRow {
        row: row.try_get(0)?,
        artifact: row.try_get(7)?,
        event: Event {
            id: id(row, 1)?,
            object: ObjectType::Event,
            session_id: session.clone(),
            branch_id: id(row, 2)?,
            parent_event_id: optional_id(row, 3)?,
            sequence: count(row, 4)?,
            event_type: text(row, 5)?.into(),
            payload_ref: optional_text(row, 6)?,
            created_at: time(row.try_get(8)?),
            merged_from,
            extra: Extra::new(),
        },
    })
}
