//! The history of a branch as a stream over its pages.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use zumik_types::{BranchId, Event, EventId, List, SessionId, SortOrder};

use super::BranchCursor;
use crate::api::events::ListEvents;
use crate::client::Zumik;
use crate::endpoint::{DecodeError, Endpoint as _};
use crate::error::{Error, Result};
use crate::pipeline::{self, Target};
use crate::response::Response;

/// How many events are asked for at once.
const PAGE: u64 = 500;

/// The events of a branch, oldest first; a [`Stream`]. Made by [`BranchCursor::history`].
///
/// Pages are read as they are needed. An error is its last item. A page whose events do not go on behind those before is
/// a [`Decode`](crate::ErrorKind::Decode) error: a server that gives its pages in a circle would otherwise never end.
#[must_use = "a stream does nothing until its events are asked for"]
pub struct History(BoxStream<'static, Result<Event>>);

impl History {
    /// Behind `after` or from the beginning.
    pub(super) fn new(cursor: &BranchCursor, after: Option<EventId>) -> Self {
        Self(Pages::new(cursor, SortOrder::Asc, after).stream())
    }

    /// The next event; `None` after the last one, and after an error.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for History {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").finish_non_exhaustive()
    }
}

/// The event at a place of the branch, looked for from the newest on. `None` when there is none.
pub(super) async fn event_at(cursor: &BranchCursor, place: u64) -> Result<Option<Event>> {
    let mut newest_first = Pages::new(cursor, SortOrder::Desc, None);
    while let Some(event) = newest_first.next().await? {
        if event.sequence <= place {
            return Ok(Some(event).filter(|event| event.sequence == place));
        }
    }
    Ok(None)
}

/// What has been read and where to go on.
struct Pages {
    client: Zumik,
    session_id: SessionId,
    branch_id: BranchId,
    order: SortOrder,
    after: Option<EventId>,
    /// The place of the last event that was read.
    place: Option<u64>,
    read: VecDeque<Event>,
    more: bool,
}

impl Pages {
    fn new(cursor: &BranchCursor, order: SortOrder, after: Option<EventId>) -> Self {
        Self {
            client: cursor.client.clone(),
            session_id: cursor.session_id.clone(),
            branch_id: cursor.branch_id.clone(),
            order,
            after,
            place: None,
            read: VecDeque::new(),
            more: true,
        }
    }

    /// A stream that ends after its first error.
    fn stream(self) -> BoxStream<'static, Result<Event>> {
        stream::unfold(Some(self), |pages| async move {
            let mut pages = pages?;
            match pages.next().await {
                Ok(event) => event.map(|event| (Ok(event), Some(pages))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .fuse()
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Event>> {
        if self.read.is_empty() && self.more {
            self.read_page().await?;
        }
        Ok(self.read.pop_front())
    }

    async fn read_page(&mut self) -> Result<()> {
        let events = self.client.events().list(&self.session_id, &self.branch_id);
        let events = events.limit(PAGE).order(self.order.clone());
        let page = match &self.after {
            Some(after) => events.after(after).send().await?,
            None => events.send().await?,
        };
        let Some(last) = page.data.last() else {
            self.more = false;
            return Ok(());
        };
        if !self.goes_on(&page.data) {
            return Err(self.astray(page));
        }
        (self.after, self.place, self.more) = (Some(last.id.clone()), Some(last.sequence), page.has_more);
        self.read = page.into_inner().data.into();
        Ok(())
    }

    /// Whether these events stand in the order that was asked for, behind those before.
    fn goes_on(&self, events: &[Event]) -> bool {
        let mut before = self.place;
        events.iter().all(|event| {
            let in_order = before.is_none_or(|before| match self.order {
                SortOrder::Desc => event.sequence < before,
                _ => event.sequence > before,
            });
            before = Some(event.sequence);
            in_order && self.after.as_ref() != Some(&event.id)
        })
    }

    fn astray(&self, page: Response<List<Event>>) -> Error {
        let (_, meta, body) = page.into_parts();
        let behind = self.after.as_ref().map(|after| format!(" behind {after}")).unwrap_or_default();
        let problem =
            DecodeError::custom(format!("the events do not go on{behind} in the order of the branch"));
        let operation = Target::from(ListEvents::OPERATION).name;
        pipeline::undecodable(meta, body, problem).with_operation(operation)
    }
}
