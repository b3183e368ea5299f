//! What receipts and reports have in common: an object with a digest and a signature over all its other members.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zumik_types::{DiagnosticReport, PurgeReceipt};

use crate::{CanonicalError, ClaimError, Digest, Numbers, canonical, claim};

/// The member that holds the digest.
pub(crate) const DIGEST: &str = "digest";
/// The member that holds the signature.
pub(crate) const SIGNATURE: &str = "signature";
/// The member that names the kind of document. It is signed, so that no kind can pass for another.
pub(crate) const OBJECT: &str = "object";
/// The signature algorithm of the contract.
pub(crate) const ALGORITHM: &str = "ed25519";

/// A kind of signed document.
pub(crate) trait Document: DeserializeOwned {
    /// Its `object`.
    const OBJECT: &'static str;
    /// The numbers that it may carry.
    const NUMBERS: Numbers;

    /// Whether it claims no more than it shows.
    fn check(&self) -> Result<(), ClaimError>;
}

impl Document for PurgeReceipt {
    const OBJECT: &'static str = "purge_receipt";
    const NUMBERS: Numbers = Numbers::Integers;

    fn check(&self) -> Result<(), ClaimError> {
        claim::check(self)
    }
}

impl Document for DiagnosticReport {
    const OBJECT: &'static str = "diagnostic_report";
    const NUMBERS: Numbers = Numbers::Any;

    fn check(&self) -> Result<(), ClaimError> {
        Ok(())
    }
}

/// The digest of a document from which digest and signature have been taken.
pub(crate) fn digest<D: Document>(unsealed: &Map<String, Value>) -> Result<Digest, CanonicalError> {
    canonical::canonicalize_object(unsealed, D::NUMBERS).map(|bytes| Digest::of(&bytes))
}
