//! The history of a branch as a stream over its pages.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt};
use zumik_types::{BranchId, Event, EventId, SessionId, SortOrder};

use super::BranchCursor;
use crate::client::Zumik;
use crate::error::Result;

/// How many events are asked for at once.
const PAGE: u64 = 500;

/// Oldest first, behind `after` or from the beginning.
pub(super) fn ascending(cursor: &BranchCursor, after: Option<EventId>) -> BoxStream<'static, Result<Event>> {
    Pages::new(cursor, SortOrder::Asc, after).stream()
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
            Some(after) => events.after(after).await?,
            None => events.await?,
        };
        let last = page.data.last().map(|event| event.id.clone());
        // A page that ends where the one before ended would come again and again.
        if last.is_none() || last == self.after {
            self.more = false;
            return Ok(());
        }
        self.more = page.has_more;
        self.after = last;
        self.read = page.data.into();
        Ok(())
    }
}
