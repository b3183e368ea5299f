//! Checking a branch's history against what its writers were told, in linear time.

use std::collections::HashMap;

use zumik_client::types::{BranchId, Event, EventId, SessionId, SortOrder};
use zumik_client::{Result, Zumik};

/// An append that was acknowledged: the version it made, and its event.
pub type Acknowledged = (u64, EventId);

/// Reads a whole history, page by page.
pub async fn read(zk: &Zumik, session: &SessionId, branch: &BranchId) -> Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let mut call = zk.events().list(session, branch).limit(1_000).order(SortOrder::Asc);
        if let Some(last) = events.last() {
            call = call.after(&last.id);
        }
        let page = call.await?;
        let more = page.has_more;
        events.extend(page.data);
        if !more {
            return Ok(events);
        }
    }
}

/// Panics unless the history is one unbroken line and holds every acknowledged append where it was acknowledged.
/// Gives the events that nobody was told of.
///
/// # Panics
/// With the first thing that is wrong.
pub fn check<'l>(log: &'l [Event], acknowledged: &[Acknowledged]) -> Vec<&'l Event> {
    let mut parent = None;
    for (position, event) in log.iter().enumerate() {
        assert_eq!(event.sequence, position as u64 + 1, "each version once, without a gap");
        assert_eq!(event.parent_event_id.as_ref(), parent, "each event has the one before it as its parent");
        parent = Some(&event.id);
    }
    let mut told: HashMap<u64, &EventId> = HashMap::new();
    for (version, id) in acknowledged {
        assert!(told.insert(*version, id).is_none(), "version {version} was acknowledged twice");
        let event = log.get(*version as usize - 1);
        assert_eq!(
            event.map(|event| &event.id),
            Some(id),
            "version {version} was acknowledged and is not there"
        );
    }
    log.iter().filter(|event| !told.contains_key(&event.sequence)).collect()
}
