//! Appending, and finding out whether an append happened whose answer was lost.

use zumik_types::{Event, NewEvent};

use super::{BranchCursor, history};
use crate::error::{BranchPosition, Error, Outcome, Result};

/// An append that may have happened: sent again, it must be the same bytes under the same key.
#[derive(Debug, Clone)]
pub(super) struct Unsettled {
    at: BranchPosition,
    event: NewEvent,
    key: String,
}

/// What the history says about an append.
enum Trace {
    /// The event is there.
    Found(Box<Event>),
    /// Another event is in its place.
    Absent,
    /// The event in its place may be it, but nothing tells it from one of another writer.
    Unclear,
}

impl BranchCursor {
    /// Appends an event where the cursor is, and moves the cursor behind it.
    ///
    /// An append whose answer was lost is sent again as the same bytes under the same key, also by a second call of
    /// this method with an equal event from the same place, and when the future of the first was dropped. If the server
    /// then reports a conflict, the history is searched for the event first: one with the same place, type and payload
    /// counts as the one that was sent. An event without a payload has nothing to recognize it by and is never claimed.
    /// Give each writer an artifact of its own.
    ///
    /// # Errors
    ///
    /// [`BranchConflict`](crate::ErrorKind::BranchConflict) when the branch has moved on:
    /// [`branch_conflict`](crate::Error::branch_conflict) says where it was expected and where it is. The cursor stays.
    pub async fn append(&mut self, event: impl Into<NewEvent>) -> Result<Event> {
        self.append_event(event.into()).await
    }

    pub(super) async fn append_event(&mut self, event: NewEvent) -> Result<Event> {
        let same = |earlier: &Unsettled| earlier.at == self.position && earlier.event == event;
        let earlier = self.unsettled.take().filter(same);
        let resumed = earlier.is_some();
        let key = earlier.map_or_else(|| self.client.shared().ambient.key(), |earlier| earlier.key);
        // Kept while the request is on its way: the caller may drop this future, and append again.
        self.unsettled =
            Some(Unsettled { at: self.position.clone(), event: event.clone(), key: key.clone() });

        let events = self.client.events();
        let call = events
            .append(&self.session_id, &self.branch_id, self.position.version, event.clone())
            .expected_head_event_id(self.expected_head());
        let appended = match call.idempotency_key(key).await {
            Err(error) if error.is_branch_conflict() => self.settle(error, &event, resumed).await,
            Err(error) if resumed => Err(error.with_outcome(Outcome::Ambiguous)),
            appended => appended,
        };
        match appended {
            Ok(event) => Ok(self.moved_to(event)),
            Err(error) => {
                self.unsettled = self.unsettled.take().filter(|_| error.outcome() == Outcome::Ambiguous);
                Err(error)
            }
        }
    }

    /// A conflict: with others, or with the event of an own attempt whose answer was lost.
    async fn settle(&self, conflict: Error, event: &NewEvent, resumed: bool) -> Result<Event> {
        let conflict = self.complete_conflict(conflict).await;
        if !resumed && conflict.outcome() != Outcome::Ambiguous {
            return Err(conflict);
        }
        match self.look_for(event).await {
            Ok(Trace::Found(event)) => Ok(*event),
            // The place is taken, so no late attempt can take it any more.
            Ok(Trace::Absent) => Err(conflict.with_outcome(Outcome::Rejected)),
            Ok(Trace::Unclear) | Err(_) => Err(conflict.with_outcome(Outcome::Ambiguous)),
        }
    }

    fn moved_to(&mut self, event: Event) -> Event {
        self.unsettled = None;
        self.position = BranchPosition::new(event.sequence, Some(event.id.clone()));
        event
    }

    /// Looks at the event right behind the cursor.
    async fn look_for(&self, wanted: &NewEvent) -> Result<Trace> {
        let Some(found) = self.next_event().await? else { return Ok(Trace::Absent) };
        let same_parent = match (&found.parent_event_id, &self.position.head) {
            (Some(parent), Some(head)) => parent == head,
            // A server need not say, and a cursor need not know.
            (None, _) | (_, None) => true,
        };
        let same = found.event_type == wanted.event_type && found.payload_ref == wanted.payload_ref;
        Ok(match () {
            () if found.event_type.as_str().is_empty() => Trace::Unclear,
            () if !same || !same_parent || found.merged_from.is_some() => Trace::Absent,
            () if wanted.payload_ref.is_none() => Trace::Unclear,
            () => Trace::Found(Box::new(found)),
        })
    }

    /// The event that took the place behind the cursor.
    async fn next_event(&self) -> Result<Option<Event>> {
        let Some(place) = self.position.version.checked_add(1) else { return Ok(None) };
        if self.position.head.is_some() || self.position.version == 0 {
            let events = self.client.events().list(&self.session_id, &self.branch_id).limit(1);
            let page = match &self.position.head {
                Some(head) => events.after(head).await?,
                None => events.await?,
            };
            return Ok(page.data.into_iter().find(|event| event.sequence == place));
        }
        history::event_at(self, place).await
    }
}
