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

#[cfg(test)]
mod tests {
    use super::{Acknowledged, check};
    use zumik_client::types::{Event, EventId};

    /// A history of events with these ids, in one line.
    fn history(ids: &[&str]) -> Vec<Event> {
        let mut parent = serde_json::Value::Null;
        let mut events = Vec::new();
        for (position, id) in ids.iter().enumerate() {
            let event = serde_json::json!({
                "id": id, "object": "event", "session_id": "ses_1", "branch_id": "br_1", "parent_event_id": parent,
                "sequence": position + 1, "event_type": "note", "payload_ref": null, "created_at": "2026-06-15T16:04:10Z",
            });
            parent = (*id).into();
            events.push(serde_json::from_value(event).expect("an event"));
        }
        events
    }

    fn told(version: u64, id: &str) -> Acknowledged {
        (version, EventId::try_from(id).expect("an id"))
    }

    #[test]
    fn events_that_nobody_was_told_of_are_given_back() {
        let log = history(&["evt_a", "evt_b"]);
        let untold = check(&log, &[told(1, "evt_a")]);
        assert_eq!(untold, [&log[1]]);
    }

    #[test]
    #[should_panic(expected = "version 2 was acknowledged and is not there")]
    fn an_acknowledged_event_that_is_lost_is_found_out() {
        check(&history(&["evt_a"]), &[told(1, "evt_a"), told(2, "evt_b")]);
    }

    #[test]
    #[should_panic(expected = "version 1 was acknowledged and is not there")]
    fn an_acknowledged_event_in_another_place_is_found_out() {
        check(&history(&["evt_b", "evt_a"]), &[told(1, "evt_a")]);
    }

    #[test]
    #[should_panic(expected = "version 1 was acknowledged twice")]
    fn a_version_that_two_writers_were_given_is_found_out() {
        check(&history(&["evt_a"]), &[told(1, "evt_a"), told(1, "evt_b")]);
    }

    #[test]
    #[should_panic(expected = "each version once, without a gap")]
    fn a_gap_is_found_out() {
        let log = history(&["evt_a", "evt_b", "evt_c"]);
        check(&[log[0].clone(), log[2].clone()], &[]);
    }

    #[test]
    #[should_panic(expected = "the one before it as its parent")]
    fn a_broken_line_is_found_out() {
        let mut log = history(&["evt_a", "evt_b", "evt_c"]);
        log[2].parent_event_id = Some(log[0].id.clone());
        check(&log, &[]);
    }
}
