//! Prompt layout: which block of a prompt stands where, so that providers can cache what is stable.
//!
//! Providers cache exact prefixes. What never changes comes first, what changes with every call comes last (contract,
//! `concepts.md`, "Prompt layout").

use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of a block in a prompt that caches well, from the most stable to the most dynamic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rank {
    /// System policy.
    SystemPolicy = 1,
    /// Developer policy.
    DeveloperPolicy,
    /// Tool definitions.
    Tools,
    /// JSON schema of the answer.
    ResponseSchema,
    /// Stable context of the tenant or workspace: documents that stay.
    Context,
    /// A checkpoint, or a summary standing for older history.
    Checkpoint,
    /// Earlier turns, in order.
    History,
    /// Fragments retrieved for this turn.
    Retrieval,
    /// What the user says now.
    LatestUserInput,
    /// What a tool answered last.
    LatestToolResult,
}

impl Rank {
    /// All ranks, the most stable first.
    pub const ALL: [Self; 10] = [
        Self::SystemPolicy,
        Self::DeveloperPolicy,
        Self::Tools,
        Self::ResponseSchema,
        Self::Context,
        Self::Checkpoint,
        Self::History,
        Self::Retrieval,
        Self::LatestUserInput,
        Self::LatestToolResult,
    ];

    /// The number in the contract's table: 1, the most stable, to 10.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether the block belongs to the stable prefix, which requests of one prefix family share: ranks 1 to 5.
    pub const fn is_stable(self) -> bool {
        self.number() <= Self::Context.number()
    }

    /// Whether the block could be cached at all, so that its tokens count as eligible for reuse: ranks 1 to 7.
    pub const fn is_eligible(self) -> bool {
        self.number() <= Self::History.number()
    }

    /// Whether the block belongs to the latest turn, and so to the end of the prompt: ranks 9 and 10.
    pub const fn is_latest_turn(self) -> bool {
        self.number() >= Self::LatestUserInput.number()
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SystemPolicy => "system policy",
            Self::DeveloperPolicy => "developer policy",
            Self::Tools => "tools",
            Self::ResponseSchema => "response schema",
            Self::Context => "stable context",
            Self::Checkpoint => "checkpoint",
            Self::History => "history",
            Self::Retrieval => "retrieval",
            Self::LatestUserInput => "latest user input",
            Self::LatestToolResult => "latest tool result",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_numbered_from_one_to_ten_in_the_order_of_stability() {
        let numbers: Vec<u8> = Rank::ALL.iter().map(|rank| rank.number()).collect();
        assert_eq!(numbers, (1..=10).collect::<Vec<u8>>());
        assert!(Rank::ALL.is_sorted());
    }

    #[test]
    fn five_ranks_are_stable_seven_are_eligible_and_two_are_the_latest_turn() {
        let count = |is: fn(Rank) -> bool| Rank::ALL.iter().filter(|rank| is(**rank)).count();
        assert_eq!(count(Rank::is_stable), 5);
        assert_eq!(count(Rank::is_eligible), 7);
        assert_eq!(count(Rank::is_latest_turn), 2);
    }
}
