//! A purge with its proof, in one call or in two: what was begun is proven by the id of its job.

mod begin;
mod proof;
mod wait;

pub use begin::Purge;
#[cfg(feature = "verify")]
pub use proof::ProofError;
pub use proof::PurgeProof;
pub use wait::WaitForProof;
