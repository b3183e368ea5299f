//! Whether what the writers of one branch saw can have happened one after the other: linearizability, in linear time.
//!
//! A version tells where a call stands in that order: the append that made version `n` comes before every call that saw
//! the branch at `n`, and that before the append that made `n + 1`. So it is enough that nobody was told of a later
//! place before a call of an earlier place had begun.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use zumik_client::BranchPosition;
use zumik_client::types::Event;

use crate::log;

/// A clock of moments that all writers share: each look at it is later than the one before.
#[derive(Debug, Default)]
pub struct Moments(AtomicU64);

impl Moments {
    /// This moment.
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// One call of a writer.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it began.
    pub began: u64,
    /// When its answer was there.
    pub ended: u64,
    /// What was asked, and what came of it.
    pub outcome: Outcome,
}

/// What a call asked, and what came of it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// An append was acknowledged.
    Appended {
        /// The payload of its event, which no other call has.
        mark: String,
        /// Where the caller believed the branch to be.
        expected: BranchPosition,
        /// The event of the answer.
        event: Box<Event>,
    },
    /// An append was refused, because the branch was elsewhere.
    Refused {
        /// The payload of the event that was not made.
        mark: String,
        /// Where the caller believed the branch to be.
        expected: BranchPosition,
        /// Where the branch was, by the answer.
        current: BranchPosition,
    },
    /// An append of which nobody knows what came of it.
    Unknown {
        /// The payload of its event, if there is one.
        mark: String,
    },
    /// The branch was read, and was here.
    Read(BranchPosition),
}

/// What a checked history holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Appends that were acknowledged.
    pub appended: usize,
    /// Appends that were refused.
    pub refused: usize,
    /// Appends of unknown outcome that were made.
    pub found: usize,
    /// Appends of unknown outcome that were not made.
    pub missing: usize,
}

/// Panics unless the calls can have happened one after the other and left this log.
///
/// # Panics
/// With the first thing that is wrong.
pub fn check(log: &[Event], calls: &[Call]) -> Tally {
    let mut tally = Tally::default();
    let mut marks: HashMap<&str, &Event> = HashMap::new();
    for event in log {
        let mark = event.payload_ref.as_deref().unwrap_or_default();
        assert!(marks.insert(mark, event).is_none(), "the append {mark} was made twice");
    }
    let mut acknowledged = Vec::new();
    let mut places = Places::new(log.len());
    for call in calls {
        match &call.outcome {
            Outcome::Appended { mark, expected, event } => {
                assert_eq!(
                    marks.remove(mark.as_str()),
                    Some(&**event),
                    "{mark}: the log has what was answered"
                );
                assert_eq!(
                    event.sequence,
                    expected.version + 1,
                    "{mark}: an append follows what it expected"
                );
                assert_eq!(
                    event.parent_event_id, expected.head,
                    "{mark}: an append follows what it expected"
                );
                acknowledged.push((event.sequence, event.id.clone()));
                places.append(event.sequence, call.began, call.ended);
                tally.appended += 1;
            }
            Outcome::Refused { mark, expected, current } => {
                assert!(!marks.contains_key(mark.as_str()), "{mark}: a refused append was made");
                assert_ne!(expected, current, "{mark}: refused although it expected the truth");
                assert_position(log, current, mark);
                places.look(current.version, call.began, call.ended);
                tally.refused += 1;
            }
            Outcome::Unknown { mark } => match marks.remove(mark.as_str()) {
                Some(event) => {
                    places.append(event.sequence, call.began, u64::MAX);
                    tally.found += 1;
                }
                None => tally.missing += 1,
            },
            Outcome::Read(position) => {
                assert_position(log, position, "a read");
                places.look(position.version, call.began, call.ended);
            }
        }
    }
    assert!(marks.is_empty(), "nobody asked for {:?}", marks.keys());
    log::check(log, &acknowledged);
    places.check();
    tally
}

/// A position that somebody was told is one that the branch had.
fn assert_position(log: &[Event], position: &BranchPosition, who: &str) {
    let head = position.version.checked_sub(1).map(|at| log.get(at as usize).map(|event| &event.id));
    match head {
        None => assert_eq!(position.head, None, "{who}: an empty branch has no head"),
        Some(head) => assert_eq!(position.head.as_ref(), head, "{who}: the head at {}", position.version),
    }
}

/// The calls by their place in the order: for each, the latest begin and the earliest end.
struct Places(Vec<Place>);

#[derive(Clone, Copy)]
struct Place {
    latest_begin: u64,
    earliest_end: u64,
}

impl Places {
    /// Two places a version: the append that makes it, and those who see it.
    fn new(versions: usize) -> Self {
        Self(vec![Place { latest_begin: 0, earliest_end: u64::MAX }; 2 * versions + 2])
    }

    fn append(&mut self, version: u64, began: u64, ended: u64) {
        self.enter(2 * version as usize, began, ended);
    }

    fn look(&mut self, version: u64, began: u64, ended: u64) {
        self.enter(2 * version as usize + 1, began, ended);
    }

    fn enter(&mut self, place: usize, began: u64, ended: u64) {
        let place = &mut self.0[place];
        place.latest_begin = place.latest_begin.max(began);
        place.earliest_end = place.earliest_end.min(ended);
    }

    fn check(&self) {
        let mut begun = 0;
        for (at, place) in self.0.iter().enumerate() {
            assert!(
                place.earliest_end >= begun,
                "a call that saw version {} ended before one that belongs before it began",
                at / 2
            );
            begun = begun.max(place.latest_begin);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(version: u64, mark: &str) -> Event {
        let parent = (version > 1).then(|| format!("evt_{}", version - 1));
        serde_json::from_value(json!({
            "id": format!("evt_{version}"), "object": "event", "session_id": "ses_1", "branch_id": "br_1",
            "parent_event_id": parent, "sequence": version, "event_type": "note", "payload_ref": mark,
            "created_at": "2026-06-15T16:04:10Z",
        }))
        .expect("an event")
    }

    fn at(version: u64) -> BranchPosition {
        let head = (version > 0).then(|| format!("evt_{version}").as_str().try_into().expect("an id"));
        BranchPosition::new(version, head)
    }

    fn appended(began: u64, ended: u64, version: u64, mark: &str) -> Call {
        let (expected, event) = (at(version - 1), Box::new(event(version, mark)));
        Call { began, ended, outcome: Outcome::Appended { mark: mark.to_owned(), expected, event } }
    }

    fn refused(began: u64, ended: u64, mark: &str, expected: u64, current: u64) -> Call {
        let (expected, current) = (at(expected), at(current));
        Call { began, ended, outcome: Outcome::Refused { mark: mark.to_owned(), expected, current } }
    }

    fn unknown(began: u64, ended: u64, mark: &str) -> Call {
        Call { began, ended, outcome: Outcome::Unknown { mark: mark.to_owned() } }
    }

    fn log() -> Vec<Event> {
        vec![event(1, "a"), event(2, "b")]
    }

    #[test]
    fn overlapping_calls_may_have_happened_in_either_order() {
        let calls = [appended(0, 5, 1, "a"), appended(1, 4, 2, "b"), refused(2, 3, "c", 0, 1)];
        assert_eq!(check(&log(), &calls), Tally { appended: 2, refused: 1, ..Tally::default() });
    }

    #[test]
    fn an_append_of_unknown_outcome_may_be_there_or_not() {
        let calls = [appended(0, 1, 1, "a"), unknown(2, 3, "b"), unknown(4, 5, "c")];
        assert_eq!(check(&log(), &calls), Tally { appended: 1, found: 1, missing: 1, ..Tally::default() });
    }

    #[test]
    #[should_panic(expected = "ended before one that belongs before it began")]
    fn a_refusal_with_a_state_that_is_over_is_noticed() {
        check(&log(), &[appended(0, 1, 1, "a"), appended(2, 3, 2, "b"), refused(4, 5, "c", 0, 1)]);
    }

    #[test]
    #[should_panic(expected = "ended before one that belongs before it began")]
    fn a_refusal_with_a_state_of_the_future_is_noticed() {
        check(&log(), &[appended(0, 1, 1, "a"), refused(2, 3, "c", 0, 2), appended(4, 5, 2, "b")]);
    }

    #[test]
    #[should_panic(expected = "the log has what was answered")]
    fn a_lost_append_is_noticed() {
        check(&log()[..1], &[appended(0, 1, 1, "a"), appended(2, 3, 2, "b")]);
    }

    #[test]
    #[should_panic(expected = "was made twice")]
    fn an_append_that_was_made_twice_is_noticed() {
        check(&[event(1, "a"), event(2, "a")], &[appended(0, 1, 1, "a")]);
    }

    #[test]
    #[should_panic(expected = "a refused append was made")]
    fn a_refused_append_that_was_made_is_noticed() {
        check(&log(), &[appended(0, 1, 1, "a"), refused(2, 3, "b", 0, 1)]);
    }

    #[test]
    #[should_panic(expected = "nobody asked for")]
    fn an_event_that_nobody_asked_for_is_noticed() {
        check(&log(), &[appended(0, 1, 1, "a")]);
    }
}
