//! The state of a branch that an append expected, and the one that it met.

use std::fmt;

use zumik_types::EventId;

/// A place on a branch: how many events lead to it, and the last of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchPosition {
    /// Number of events up to here, inherited ones included. 0 for an empty branch.
    pub version: u64,
    /// The last event up to here. `None` for an empty branch, or where it is not known.
    pub head: Option<EventId>,
}

impl BranchPosition {
    /// The position at `version`, with the event there if it is known.
    pub fn new(version: u64, head: Option<EventId>) -> Self {
        Self { version, head }
    }
}

impl fmt::Display for BranchPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.head {
            Some(head) => write!(f, "version {} ({head})", self.version),
            None => write!(f, "version {}", self.version),
        }
    }
}

/// A compare-and-swap that somebody else won.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BranchConflict {
    /// Where the caller believed the branch to be.
    pub expected: BranchPosition,
    /// Where the branch was when the server compared. `None` when the server does not say; a
    /// [`BranchCursor`](crate::BranchCursor) asks for it then.
    pub current: Option<BranchPosition>,
}

impl fmt::Display for BranchConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)?;
        self.current.as_ref().map_or(Ok(()), |current| write!(f, ", is at {current}"))
    }
}
