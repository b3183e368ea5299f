//! Appends: compared and swapped together with others that come in (`groups`).
//!
//! What an append compares with is remembered from the one before, or read first. When it was passed over, a transaction
//! does the same step by step: it replays, tells what is wrong, or appends after all.

use zumik_types::{AppendEventRequest, ArtifactId, BranchId, Event, EventId, Extra, ObjectType, SessionId};

use super::PostgresStore;
use super::db::{Db, count, key, optional_id, stored};
use super::events::NewRow;
use super::groups::{KeptAnswer, Swap};
use super::heads::{Head, Owner};
use super::history::{Node, Spine};
use crate::store::durable::history::jump_sequence;
use crate::store::durable::ids::PublicId as _;
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
        if let Some(written) = self.swap(append, &minted).await? {
            return Ok(written);
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
        let known = match self.env.heads.at(owner, branch, request.expected_version) {
            Some(known) => Some(known),
            None => read_head(&self.connection().await?, owner, branch).await?,
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
        let kept = append.key.map(|key| self.kept_answer(ctx, key, &answer)).transpose()?;
        // An id that this server never gave names no artifact: it must not look like none was named.
        let artifact = append.artifact().map(|id| key(&id).unwrap_or_default());
        let swap = Swap {
            branch: known.branch,
            version: stored(known.version),
            head: known.spine.head().map(|node| node.row),
            public_id: *id_key,
            artifact,
            project,
            created_at: seconds(ctx.now),
            jump: known.spine.next_jump().map(|node| node.row),
            jump_sequence: stored(jump_sequence(known.version + 1)),
            event_type: request.event.event_type.as_str().to_owned(),
            payload_ref: request.event.payload_ref.clone(),
            answer: kept,
        };
        let Some(row) = self.groups.append(swap).await? else { return Ok(None) };
        known.spine.push(row);
        known.version += 1;
        known.head = Some(id.clone());
        self.env.heads.remember(owner, branch, known);
        Ok(Some(Written::Fresh { value: event, answer }))
    }

    fn kept_answer(&self, ctx: &ProjectCtx, key: &Idempotency, answer: &Answer) -> Result<KeptAnswer> {
        let lookup = key.lookup(&ctx.project);
        let sealed = self.env.seal_answer(&lookup, answer)?;
        let expires_at = (ctx.now + ANSWER_LIFETIME).timestamp_millis();
        Ok(KeptAnswer { lookup, fingerprint: key.fingerprint, expires_at, sealed })
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
