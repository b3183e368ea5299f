//! The layout of a prompt, message by message: what of it could be cached, and what everything begins with.

use std::sync::Arc;

use crate::domain::Place;

/// The messages of a body that the prompt compiler wrote, one behind the other. What they are is known here and cannot be
/// told from the body, where a retrieved block is a `system` message like any other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compiled {
    /// How many messages stand before them.
    before: usize,
    places: Arc<[Place]>,
}

impl Compiled {
    /// Messages in these places, behind so many others.
    pub(crate) fn behind(before: usize, places: impl Into<Arc<[Place]>>) -> Self {
        Self { before, places: places.into() }
    }

    /// What the message at an index of the body is; nothing when it is the caller's own.
    pub(crate) fn place(&self, index: usize) -> Option<Place> {
        self.places.get(index.checked_sub(self.before)?).copied()
    }
}

/// Which messages could be cached at all, those of blocks 1 to 7: all but what was retrieved, the latest input of the user
/// and the latest result of a tool.
pub(crate) fn eligible(places: &[Place]) -> Vec<bool> {
    let latest = [Place::User, Place::ToolResult].map(|kind| places.iter().rposition(|place| *place == kind));
    let is_eligible =
        |(index, place): (usize, &Place)| *place != Place::Retrieval && !latest.contains(&Some(index));
    places.iter().enumerate().map(is_eligible).collect()
}

/// How many messages are the stable prefix, blocks 1 to 5.
pub(crate) fn stable(places: &[Place]) -> usize {
    places.iter().take_while(|place| **place == Place::Stable).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Place::{History, Retrieval, Stable, ToolResult, User};

    #[test]
    fn all_but_the_latest_turn_could_be_cached() {
        for (places, expected) in [
            (&[][..], &[][..]),
            (&[Retrieval, ToolResult, User], &[false, false, false]),
            (&[Stable, User, History, User], &[true, true, true, false]),
            (&[ToolResult, Retrieval, ToolResult, History], &[true, false, false, true]),
        ] {
            assert_eq!(eligible(places), expected, "{places:?}");
        }
    }

    #[test]
    fn the_stable_prefix_ends_with_the_first_message_that_is_not_stable() {
        assert_eq!(stable(&[Stable, Stable, History, Stable]), 2);
        assert_eq!((stable(&[Retrieval, Stable]), stable(&[])), (0, 0));
    }

    #[test]
    fn messages_of_the_compiler_are_known_where_they_stand() {
        let compiled = Compiled::behind(1, [Retrieval, User]);
        let places: Vec<_> = (0..4).map(|index| compiled.place(index)).collect();
        assert_eq!(places, [None, Some(Retrieval), Some(User), None]);
        assert_eq!(Compiled::default().place(0), None);
    }
}
