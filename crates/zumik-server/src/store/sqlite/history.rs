//! The tree of events, walked row by row.

use super::Db;
use crate::store::durable::history::jump_sequence;
use crate::store::{Result, StoreError};

/// An event of the tree: its row and its sequence. There is none with sequence 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) row: i64,
    pub(super) sequence: u64,
}

struct Links {
    parent: Option<i64>,
    jump: Option<i64>,
}

impl Db<'_> {
    /// The row that a new event with parent `head` jumps to.
    pub(super) fn jump_of_next(&self, head: Option<Node>) -> Result<Option<i64>> {
        let Some(head) = head else { return Ok(None) };
        let target = jump_sequence(head.sequence + 1);
        if target == head.sequence {
            return Ok(Some(head.row));
        }
        if target == 0 {
            return Ok(None);
        }
        // By the scheme it is where the parent's jump jumps to.
        let row = self.one(
            "SELECT j.jump FROM events h JOIN events j ON j.id = h.jump WHERE h.id = ?1",
            [head.row],
            |row| row.get(0),
        )?;
        row.ok_or_else(broken)
    }

    /// The ancestor of `from`, or itself, with this sequence; nothing for 0.
    pub(super) fn ancestor(&self, from: Node, sequence: u64) -> Result<Option<Node>> {
        let mut node = from;
        while node.sequence > sequence {
            let jump = jump_sequence(node.sequence);
            let (row, next) = if jump >= sequence {
                (self.links(node)?.jump, jump)
            } else {
                (self.links(node)?.parent, node.sequence - 1)
            };
            match row {
                Some(row) => node = Node { row, sequence: next },
                None => return Ok(None),
            }
        }
        Ok((node.sequence == sequence).then_some(node))
    }

    /// Whether `node` is `head` or one of its ancestors.
    pub(super) fn reaches(&self, head: Option<Node>, node: Node) -> Result<bool> {
        match head {
            Some(head) if head.sequence >= node.sequence => {
                Ok(self.ancestor(head, node.sequence)? == Some(node))
            }
            _ => Ok(false),
        }
    }

    /// The latest event that both reach.
    pub(super) fn common_ancestor(&self, one: Option<Node>, other: Option<Node>) -> Result<Option<Node>> {
        let (Some(one), Some(other)) = (one, other) else { return Ok(None) };
        let level = one.sequence.min(other.sequence);
        let (Some(mut one), Some(mut other)) = (self.ancestor(one, level)?, self.ancestor(other, level)?)
        else {
            return Ok(None);
        };
        while one != other {
            let (a, b) = (self.links(one)?, self.links(other)?);
            let (rows, sequence) = if a.jump != b.jump {
                ((a.jump, b.jump), jump_sequence(one.sequence))
            } else {
                ((a.parent, b.parent), one.sequence - 1)
            };
            match rows {
                (Some(a), Some(b)) => (one, other) = (Node { row: a, sequence }, Node { row: b, sequence }),
                _ => return Ok(None),
            }
        }
        Ok(Some(one))
    }

    fn links(&self, node: Node) -> Result<Links> {
        self.one("SELECT parent, jump FROM events WHERE id = ?1", [node.row], |row| {
            Ok(Links { parent: row.get(0)?, jump: row.get(1)? })
        })?
        .ok_or_else(broken)
    }
}

fn broken() -> StoreError {
    StoreError::internal("an event of a branch's history is missing")
}
