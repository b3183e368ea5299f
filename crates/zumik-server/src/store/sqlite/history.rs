//! The tree of events, and how to find one far back in it.
//!
//! An event points to its parent and to one `jump` ancestor, chosen by its sequence alone (the skew-binary
//! scheme of Myers, "An applicative random-access stack", 1983). From any event each ancestor is then at most
//! about 2·log2(n) steps away, and an append looks at one row at most to find its own jump. So a branch is
//! a pointer to its head: forks copy nothing, and neither history nor depth of forks costs anything.

use super::Db;
use crate::store::{Result, StoreError};

/// The sequence of the event that the event with this sequence jumps to; 0 is before the first event.
pub(super) fn jump_sequence(sequence: u64) -> u64 {
    let mut rest = sequence;
    loop {
        // The greatest 2^k - 1 that fits.
        let step = match rest {
            0 => return 0,
            _ if (rest + 1).is_power_of_two() => rest,
            _ => (1 << (rest + 1).ilog2()) - 1,
        };
        if step == rest {
            return sequence - step;
        }
        rest -= step;
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_the_parent_or_where_the_parents_jump_jumps_to() {
        for sequence in 1..10_000 {
            let parent = sequence - 1;
            let jump = jump_sequence(parent);
            let beyond = jump_sequence(jump);
            let expected = if parent - jump == jump - beyond { beyond } else { parent };
            assert_eq!(jump_sequence(sequence), expected, "{sequence}");
        }
    }

    #[test]
    fn every_ancestor_is_a_few_steps_away() {
        let head: u64 = 1_000_000;
        for target in [1, 2, 3, 499_999, 500_000, 999_998, 999_999] {
            let (mut at, mut steps) = (head, 0);
            while at > target {
                at = if jump_sequence(at) >= target { jump_sequence(at) } else { at - 1 };
                steps += 1;
            }
            assert!(steps <= 60, "{target}: {steps}");
        }
    }
}
