//! How strong the guarantee of a purge is.

use crate::Guarantee;

impl Guarantee {
    /// Strength among the classes that the contract orders: 5 for [`VerifiedPhysicalPurge`](Self::VerifiedPhysicalPurge)
    /// down to 1 for [`HandleRevocation`](Self::HandleRevocation). A class that this version does not know counts as
    /// weaker than all of them: 0.
    ///
    /// Source: `v2.md`, "Purge".
    pub const fn strength(&self) -> u8 {
        match self {
            Self::VerifiedPhysicalPurge => 5,
            Self::VerifiedNamespaceInvalidation => 4,
            Self::ProviderConfirmedDeletion => 3,
            Self::ExpiryBound => 2,
            Self::HandleRevocation => 1,
            Self::Unrecognized(_) => 0,
        }
    }

    /// Whether this guarantee is `required` or a stronger one. An unknown class satisfies nothing, not even itself:
    /// nobody can say what it promises.
    pub const fn satisfies(&self, required: &Self) -> bool {
        self.is_known() && required.is_known() && self.strength() >= required.strength()
    }

    /// The weakest of several, which is what a receipt promises as a whole. `None` of none.
    pub fn weakest<'a>(guarantees: impl IntoIterator<Item = &'a Self>) -> Option<&'a Self> {
        guarantees.into_iter().min_by_key(|guarantee| guarantee.strength())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_guarantees_are_declared_strongest_first() {
        let strengths: Vec<_> = Guarantee::KNOWN.iter().map(Guarantee::strength).collect();
        assert_eq!(strengths, [5, 4, 3, 2, 1]);
    }

    #[test]
    fn an_unknown_guarantee_is_the_weakest_and_satisfies_nothing() {
        let unknown = Guarantee::from("quantum_erasure");
        let all = Guarantee::KNOWN.iter().chain([&unknown]);
        assert_eq!(Guarantee::weakest(all), Some(&unknown));
        assert!(!unknown.satisfies(&Guarantee::HandleRevocation));
        assert!(!unknown.satisfies(&unknown));
        assert!(!Guarantee::VerifiedPhysicalPurge.satisfies(&unknown));
    }

    #[test]
    fn a_guarantee_satisfies_itself_and_every_weaker_one() {
        for (i, required) in Guarantee::KNOWN.iter().enumerate() {
            for (j, given) in Guarantee::KNOWN.iter().enumerate() {
                assert_eq!(given.satisfies(required), j <= i, "{given} for {required}");
            }
        }
    }
}
