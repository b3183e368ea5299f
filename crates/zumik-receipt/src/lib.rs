#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod canonical;
mod claim;
mod digest;
mod document;
mod key;
mod read;
#[cfg(feature = "sign")]
mod sign;
mod verify;

pub use canonical::{CanonicalError, MAX_INTEGER, Numbers, canonicalize};
pub use claim::{ClaimError, WeakerGuarantee};
pub use digest::Digest;
pub use key::{KeyError, is_test_key};
pub use read::read;
#[cfg(feature = "sign")]
pub use sign::{SignError, Signed, SigningKey};
pub use verify::{Verified, VerifiedReceipt, VerifiedReport, VerifyError, verify, verify_report};
