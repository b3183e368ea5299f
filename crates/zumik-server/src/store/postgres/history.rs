//! The tree of events, and how to find one far back in it: the scheme of the SQLite store (`sqlite/history.rs`), walked
//! by the database itself, so that a walk of any length is one round trip.

use super::db::{Db, count};
use crate::store::durable::history::jump_sequence;
use crate::store::{Result, StoreError};

/// An event of the tree: its row and its sequence. There is none with sequence 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) row: i64,
    pub(super) sequence: u64,
}

/// A head and all that can be reached from it by jumps, the head last: what the next event needs to find its jump.
/// It is about 2·log2(n) long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spine(Vec<Node>);

impl Spine {
    /// The spine of these nodes, the head last.
    pub(super) fn new(nodes: Vec<Node>) -> Self {
        Self(nodes)
    }

    /// The head.
    pub(super) fn head(&self) -> Option<Node> {
        self.0.last().copied()
    }

    /// What an event behind the head jumps to.
    pub(super) fn next_jump(&self) -> Option<Node> {
        let target = jump_sequence(self.head().map_or(0, |head| head.sequence) + 1);
        self.0.iter().rev().find(|node| node.sequence <= target).copied()
    }

    /// Puts a new event behind the head.
    pub(super) fn push(&mut self, row: i64) {
        let sequence = self.head().map_or(0, |head| head.sequence) + 1;
        let target = jump_sequence(sequence);
        while self.head().is_some_and(|node| node.sequence > target) {
            self.0.pop();
        }
        self.0.push(Node { row, sequence });
    }
}

/// Walks from event `$1` back to the ancestor with sequence `$2`; it is the row of `seek` with that sequence.
macro_rules! seek {
    () => {
        "seek AS (
           SELECT id, branch, sequence, parent, jump, jump_sequence FROM events WHERE id = $1
           UNION ALL
           SELECT e.id, e.branch, e.sequence, e.parent, e.jump, e.jump_sequence FROM seek s
           JOIN events e ON e.id = CASE WHEN s.jump_sequence >= $2 THEN s.jump ELSE s.parent END
           WHERE s.sequence > $2)"
    };
}
pub(super) use seek;

/// The sequence of the latest event that `$1` and `$2` both reach; 0 when there is none. Their branches are gathered and
/// grouped: joined, which here is one loop in the other, they would cost the square of the depth of forks.
pub(super) const COMMON_SEQUENCE: &str = "WITH RECURSIVE
    one AS (
      SELECT branch, sequence AS top FROM events WHERE id = $1
      UNION ALL
      SELECT p.branch, p.sequence FROM one s
      CROSS JOIN LATERAL (
        SELECT parent FROM events WHERE branch = s.branch ORDER BY sequence LIMIT 1) f
      JOIN events p ON p.id = f.parent),
    other AS (
      SELECT branch, sequence AS top FROM events WHERE id = $2
      UNION ALL
      SELECT p.branch, p.sequence FROM other s
      CROSS JOIN LATERAL (
        SELECT parent FROM events WHERE branch = s.branch ORDER BY sequence LIMIT 1) f
      JOIN events p ON p.id = f.parent)
    SELECT coalesce(max(top), 0) FROM (
      SELECT min(top) AS top FROM (SELECT * FROM one UNION ALL SELECT * FROM other) walked
      GROUP BY branch HAVING count(*) = 2) common";

impl Db<'_, '_> {
    /// The spine of a head.
    pub(super) async fn spine(&self, head: Option<Node>) -> Result<Spine> {
        let Some(head) = head else { return Ok(Spine::default()) };
        let nodes = self
            .all(
                "WITH RECURSIVE spine AS (
                   SELECT id, sequence, jump FROM events WHERE id = $1
                   UNION ALL SELECT e.id, e.sequence, e.jump FROM spine s JOIN events e ON e.id = s.jump)
                 SELECT id, sequence FROM spine ORDER BY sequence",
                &[&head.row],
                |row| Ok(Node { row: row.try_get(0)?, sequence: count(row, 1)? }),
            )
            .await?;
        if nodes.last() == Some(&head) { Ok(Spine(nodes)) } else { Err(broken()) }
    }

    /// Whether `node` is `head` or one of its ancestors.
    pub(super) async fn reaches(&self, head: Option<Node>, node: Node) -> Result<bool> {
        let Some(head) = head.filter(|head| head.sequence >= node.sequence) else { return Ok(false) };
        let found = self
            .one(
                concat!("WITH RECURSIVE ", seek!(), " SELECT id FROM seek WHERE sequence = $2"),
                &[&head.row, &super::db::stored(node.sequence)],
                |row| Ok(row.try_get::<_, i64>(0)?),
            )
            .await?;
        Ok(found == Some(node.row))
    }

    /// The sequence of the latest event that both reach; 0 when there is none. It walks branch by branch, so its cost
    /// is that of the depth of forks.
    pub(super) async fn common_sequence(&self, one: Option<Node>, other: Option<Node>) -> Result<u64> {
        let (Some(one), Some(other)) = (one, other) else { return Ok(0) };
        let sequence = self.one(COMMON_SEQUENCE, &[&one.row, &other.row], |row| count(row, 0)).await?;
        Ok(sequence.unwrap_or(0))
    }
}

pub(super) fn broken() -> StoreError {
    StoreError::internal("an event of a branch's history is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spine_has_the_jump_of_every_next_event() {
        let mut spine = Spine::default();
        for sequence in 1..5_000_u64 {
            let jump = spine.next_jump();
            assert_eq!(jump.map_or(0, |node| node.sequence), jump_sequence(sequence));
            assert!(jump.is_none_or(|node| node.row == 10 * node.sequence as i64));
            spine.push(10 * sequence as i64);
            assert_eq!(spine.head(), Some(Node { row: 10 * sequence as i64, sequence }));
            assert!(spine.0.len() <= 2 * 13);
        }
    }
}
