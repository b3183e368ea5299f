//! What a receipt claims, against what its processors achieved.

use zumik_types::{Guarantee, PurgeReceipt};

/// A receipt that claims something else than its processors achieved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// No processor reported, so that nothing supports the claim.
    #[error("the receipt claims {claimed} but names no processor")]
    NoProcessors {
        /// `guarantee` of the receipt.
        claimed: Guarantee,
    },
    /// `guarantee` is not the weakest among `processors[].guarantee`.
    #[error("the receipt claims {claimed}, but the weakest guarantee of its processors is {weakest}")]
    NotTheWeakest {
        /// `guarantee` of the receipt.
        claimed: Guarantee,
        /// What the processors support.
        weakest: Guarantee,
    },
}

/// A purge that is proven, but achieved less than was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the purge achieved {achieved}, which does not satisfy the required {required}")]
#[non_exhaustive]
pub struct WeakerGuarantee {
    /// What the receipt proves.
    pub achieved: Guarantee,
    /// What was asked for.
    pub required: Guarantee,
}

/// Step 5 of the verification: `guarantee` is the weakest of the processors.
pub(crate) fn check(receipt: &PurgeReceipt) -> Result<(), ClaimError> {
    let claimed = &receipt.guarantee;
    let achieved = || receipt.processors.iter().map(|processor| &processor.guarantee);
    let Some(weakest) = Guarantee::weakest(achieved()) else {
        return Err(ClaimError::NoProcessors { claimed: claimed.clone() });
    };
    // Unknown classes are equally weak: where there are several, any of them may be the stated one.
    if claimed.strength() == weakest.strength() && achieved().any(|guarantee| guarantee == claimed) {
        Ok(())
    } else {
        Err(ClaimError::NotTheWeakest { claimed: claimed.clone(), weakest: weakest.clone() })
    }
}
