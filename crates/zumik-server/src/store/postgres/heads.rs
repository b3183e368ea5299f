//! What is known of the branches that were written last.
//!
//! A branch has one head at each version, for ever. So what was read of a version never becomes wrong; it can only be
//! of an older version than the branch has now, and then the compare-and-swap that counts on it changes nothing.

use std::collections::HashMap;

use parking_lot::Mutex;
use zumik_types::{BranchId, EventId};

use super::history::Spine;

/// Branches that are remembered at most.
const BRANCHES: usize = 4096;

/// A branch at one version.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Row of the branch.
    pub(super) branch: i64,
    pub(super) version: u64,
    pub(super) head: Option<EventId>,
    pub(super) spine: Spine,
}

/// The branches that were written last, by project, session and branch.
#[derive(Default)]
pub(super) struct Heads(Mutex<HashMap<BranchId, (Owner, Head)>>);

/// The project's row and the session's key that a branch was found under.
pub(super) type Owner = (i64, [u8; 16]);

impl Heads {
    /// The branch, if it is remembered at this version.
    pub(super) fn at(&self, owner: Owner, branch: &BranchId, version: u64) -> Option<Head> {
        let heads = self.0.lock();
        let (found, head) = heads.get(branch)?;
        (*found == owner && head.version == version).then(|| head.clone())
    }

    /// Remembers a branch, unless a later version of it is known.
    pub(super) fn remember(&self, owner: Owner, branch: &BranchId, head: Head) {
        let mut heads = self.0.lock();
        if heads.get(branch).is_some_and(|(_, known)| known.version > head.version) {
            return;
        }
        if heads.len() >= BRANCHES && !heads.contains_key(branch) {
            heads.clear();
        }
        heads.insert(branch.clone(), (owner, head));
    }

    /// Forgets a branch.
    pub(super) fn forget(&self, branch: &BranchId) {
        self.0.lock().remove(branch);
    }
}
