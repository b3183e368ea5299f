//! Appends: one statement, which is a transaction of its own.
//!
//! It compares and swaps the branch's row, inserts the event and keeps the answer, or does nothing at all. What it
//! compares with is remembered from the append before, or read first. When it does nothing, a transaction does the same
//! step by step: it replays, tells what is wrong, or appends after all.

use zumik_types::{AppendEventRequest, ArtifactId, BranchId, Event, EventId, Extra, ObjectType, SessionId};

use super::PostgresStore;
use super::db::{Db, count, key, optional_id, stored};
use super::events::NewRow;
use super::fault::Race;
use super::heads::{Head, Owner};
use super::history::{Node, Spine};
use crate::store::durable::answers::encode;
use crate::store::durable::history::jump_sequence;
use crate::store::durable::ids::PublicId as _;
use crate::store::durable::place;
use crate::store::durable::times::seconds;
use crate::store::rules::{check_active, check_guards, missing_artifact, named_artifact, whole_seconds};
use crate::store::{ANSWER_LIFETIME, Answer, Idempotency, ProjectCtx, Result, StoreError, Written};

/// The branch and what its next event needs, in one round trip.
const READ: &str = "WITH RECURSIVE
    branch AS (
      SELECT b.id, b.version, b.head FROM branches b JOIN sessions s ON s.id = b.session
      WHERE b.public_id = $1 AND s.public_id = $2 AND s.project = $3 AND s.status < 3),
    spine AS (
      SELECT e.id, e.sequence, e.jump, e.public_id FROM branch JOIN events e ON e.id = branch.head
      UNION ALL
      SELECT e.id, e.sequence, e.jump, e.public_id FROM spine s JOIN events e ON e.id = s.jump)
    SELECT branch.id, branch.version, spine.id, spine.sequence, spine.public_id
    FROM branch LEFT JOIN spine ON true ORDER BY spine.sequence";

const SWAP: &str = "WITH
    new AS MATERIALIZED (SELECT nextval('event_rows') AS id),
    artifact AS (
      SELECT id FROM artifacts
      WHERE public_id = $5 AND project = $6 AND state = 0 AND (expires_at IS NULL OR expires_at > $7)
      FOR SHARE),
    moved AS (
      UPDATE branches SET version = $2 + 1, head = (SELECT id FROM new)
      WHERE id = $1 AND version = $2 AND head IS NOT DISTINCT FROM $3 AND status = 0
        AND ($5::bytea IS NULL OR EXISTS (SELECT 1 FROM artifact))
      RETURNING id, head),
    event AS (
      INSERT INTO events (id, public_id, branch, sequence, parent, jump, jump_sequence, event_type, payload_ref,
        artifact, created_at)
      SELECT head, $4, id, $2 + 1, $3, $8, $9, $10, $11, (SELECT id FROM artifact), $7 FROM moved),
    kept AS (
      INSERT INTO answers (lookup, fingerprint, expires_at, epoch, sealed)
      SELECT $12, $13, $14, 1, $15 FROM moved WHERE $12::bytea IS NOT NULL)
    SELECT head FROM moved";

/// An append as it was asked for, with the id that its event will have.
pub(super) struct Append<'r> {
    pub(super) ctx: &'r ProjectCtx,
    pub(super) session: &'r SessionId,
    pub(super) branch: &'r BranchId,
    pub(super) request: &'r AppendEventRequest,
    pub(super) key: Option<&'r Idempotency>,
}

impl PostgresStore {
    pub(super) async fn append(&self, append: &Append<'_>) -> Result<Written<Event>> {
        let minted = self.env.mint::<EventId>(append.ctx);
        match self.swap(append, &minted).await {
            Ok(Some(written)) => return Ok(written),
            Ok(None) => {}
            Err(error) if Race::is(&error) => {}
            Err(error) => return Err(error),
        }
        self.env.heads.forget(append.branch);
        let Append { ctx, session, branch, request, key } = *append;
        let minted = &minted;
        self.keyed(ctx, key, &|db| Box::pin(db.append_event(ctx, session, branch, request, minted))).await
    }

    /// Appends, if the branch is as expected and nothing else is in the way.
    async fn swap(
        &self,
        append: &Append<'_>,
        (id, id_key): &(EventId, [u8; 16]),
    ) -> Result<Option<Written<Event>>> {
        let Append { ctx, branch, request, .. } = *append;
        let (Some(project), Some(session)) = (self.env.project_row(&ctx.project), append.session.key())
        else {
            return Ok(None);
        };
        let owner = (project, session);
        let connection = self.connection().await?;
        let known = match self.env.heads.at(owner, branch, request.expected_version) {
            Some(known) => Some(known),
            None => read_head(&connection, owner, branch).await?,
        };
        let Some(mut known) = known.filter(|known| {
            let expected_head = request.expected_head_event_id.as_sent();
            known.version == request.expected_version
                && expected_head.is_none_or(|head| head == known.head.as_ref())
        }) else {
            return Ok(None);
        };

        let event = append.event(id.clone(), known.head.clone());
        let answer = Answer::json(&ctx.trace, &event)?;
        let lookup = append.key.map(|key| key.lookup(&ctx.project));
        let sealed = match &lookup {
            None => None,
            Some(lookup) => {
                Some(self.env.vault.seal(&*self.env.mint, &place("answer", lookup), &encode(&answer)?)?)
            }
        };
        let artifact = append.artifact();
        // An id that this server never gave names no artifact: it must not look like none was named.
        let artifact = artifact.as_ref().map(|id| key(id).unwrap_or_default());
        let statement = connection.prepare_cached(SWAP).await?;
        let moved = connection
            .query_opt(
                &statement,
                &[
                    &known.branch,
                    &stored(known.version),
                    &known.spine.head().map(|node| node.row),
                    &&id_key[..],
                    &artifact,
                    &project,
                    &seconds(ctx.now),
                    &known.spine.next_jump().map(|node| node.row),
                    &stored(jump_sequence(known.version + 1)),
                    &request.event.event_type.as_str().as_bytes(),
                    &request.event.payload_ref.as_deref().map(str::as_bytes),
                    &lookup.as_ref().map(|lookup| &lookup[..]),
                    &append.key.map(|key| &key.fingerprint[..]),
                    &(ctx.now + ANSWER_LIFETIME).timestamp_millis(),
                    &sealed,
                ],
            )
            .await?;
        let Some(moved) = moved else { return Ok(None) };
        known.spine.push(moved.try_get(0)?);
        known.version += 1;
        known.head = Some(id.clone());
        self.env.heads.remember(owner, branch, known);
        Ok(Some(Written::Fresh { value: event, answer }))
    }
}

impl Append<'_> {
    /// The artifact that the payload names.
    fn artifact(&self) -> Option<ArtifactId> {
        self.request.event.payload_ref.as_deref().and_then(named_artifact)
    }

    /// The event as it will be stored and answered.
    fn event(&self, id: EventId, parent: Option<EventId>) -> Event {
        Event {
            id,
            object: ObjectType::Event,
            session_id: self.session.clone(),
            branch_id: self.branch.clone(),
            parent_event_id: parent,
            sequence: self.request.expected_version + 1,
            event_type: self.request.event.event_type.clone(),
            payload_ref: self.request.event.payload_ref.clone(),
            created_at: whole_seconds(self.ctx.now),
            merged_from: None,
            extra: Extra::new(),
        }
    }
}

async fn read_head(
    connection: &deadpool_postgres::Object,
    (project, session): Owner,
    branch: &BranchId,
) -> Result<Option<Head>> {
    let statement = connection.prepare_cached(READ).await?;
    let rows = connection.query(&statement, &[&key(branch), &&session[..], &project]).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let mut nodes = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(id) = row.try_get(2)? {
            nodes.push(Node { row: id, sequence: count(row, 3)? });
        }
    }
    Ok(Some(Head {
        branch: last.try_get(0)?,
        version: count(last, 1)?,
        head: optional_id(last, 4)?,
        spine: Spine::new(nodes),
    }))
}

impl Db<'_, '_> {
    /// Appends step by step, and tells what is wrong.
    async fn append_event(
        &self,
        ctx: &ProjectCtx,
        session: &SessionId,
        branch: &BranchId,
        request: &AppendEventRequest,
        (id, id_key): &(EventId, [u8; 16]),
    ) -> Result<Event> {
        let append = Append { ctx, session, branch, request, key: None };
        self.branch(ctx, session, branch).await?;
        let artifact = match append.artifact() {
            None => None,
            Some(id) => {
                let row = self.live_artifact(ctx, &id).await?;
                Some(row.ok_or_else(|| missing_artifact("event.payload_ref", &id))?)
            }
        };
        let mut target = self.branch_to_write(ctx, session, branch).await?;
        check_active(&target.session_status)?;
        check_guards(&target.state, request.expected_version, &request.expected_head_event_id)?;
        let event = append.event(id.clone(), target.state.head_event_id.clone());
        let new = NewRow {
            key: *id_key,
            event_type: event.event_type.as_str(),
            payload_ref: event.payload_ref.as_deref(),
            artifact,
            merged_from: None,
        };
        self.push_events(ctx, &mut target, &[new]).await?;
        if event.sequence != target.state.version {
            return Err(StoreError::internal("an event got another sequence than its branch's version"));
        }
        Ok(event)
    }
}
