//! Verification, offline: the five steps of the contract (`v2.md`, "Purge").

use std::ops::Deref;

use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::Value;
use zumik_types::{DiagnosticReport, Guarantee, PurgeReceipt, ReceiptKeyId, ReceiptKeySet};

use crate::{
    CanonicalError, ClaimError, Digest, KeyError, WeakerGuarantee,
    document::{self, ALGORITHM, DIGEST, Document, OBJECT, SIGNATURE},
    key,
};

/// A receipt whose digest, signature and guarantee have been verified. There is no other way to get one.
pub type VerifiedReceipt = Verified<PurgeReceipt>;

/// A diagnostic report whose digest and signature have been verified.
pub type VerifiedReport = Verified<DiagnosticReport>;

/// A document that is what the holder of a key signed. Dereferences to the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<D> {
    document: D,
    digest: Digest,
    key_id: ReceiptKeyId,
    signed_with_test_key: bool,
}

impl<D> Verified<D> {
    /// The digest of the document.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The key that verified the signature.
    pub const fn key_id(&self) -> &ReceiptKeyId {
        &self.key_id
    }

    /// Whether the signature is by the published test key of RFC 8037, so that anybody could have made it.
    pub const fn signed_with_test_key(&self) -> bool {
        self.signed_with_test_key
    }

    /// The document itself.
    pub fn into_inner(self) -> D {
        self.document
    }
}

impl<D> Deref for Verified<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.document
    }
}

impl Verified<PurgeReceipt> {
    /// The receipt, if its guarantee is `required` or a stronger one.
    ///
    /// # Errors
    ///
    /// The purge happened as the receipt says, but achieved less. What is still to come stands in `processors`, for
    /// example the end of a provider's cache window, whose last is [`PurgeReceipt::expires_at`].
    pub fn require(self, required: Guarantee) -> Result<Self, WeakerGuarantee> {
        if self.guarantee.satisfies(&required) {
            Ok(self)
        } else {
            Err(WeakerGuarantee { achieved: self.document.guarantee, required })
        }
    }
}

/// Why a document is not proven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is not a JSON object of the expected form, or its digest or signature is missing.
    #[error("the document does not have the form of a {object}")]
    Malformed {
        /// The expected form.
        object: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Its `object` is another one: a report is not a receipt, whoever signed it.
    #[error("the document is a {found:?}, not a {expected:?}")]
    WrongObject {
        /// The expected `object`.
        expected: &'static str,
        /// The `object` found.
        found: String,
    },
    /// It has no canonical form, so that no digest of it is certain.
    #[error("the document has no canonical form")]
    NotCanonical(#[from] CanonicalError),
    /// It was changed after its digest was made.
    #[error("the digest of the document is {computed}, but it states {stated:?}")]
    DigestMismatch {
        /// The `digest` of the document.
        stated: String,
        /// The digest of what the document says.
        computed: Digest,
    },
    /// `signature.algorithm` is not `ed25519`.
    #[error("the signature algorithm {algorithm:?} is not supported")]
    UnsupportedAlgorithm {
        /// The stated algorithm.
        algorithm: String,
    },
    /// The key set has no key of this id. Retired keys stay listed, so the document is from elsewhere, or the key set
    /// is older than the key: fetch it again.
    #[error("the key set has no key {key_id}")]
    UnknownKey {
        /// `signature.key_id`.
        key_id: ReceiptKeyId,
    },
    /// The key set has several keys of this id.
    #[error("the key set has several keys {key_id}")]
    AmbiguousKey {
        /// `signature.key_id`.
        key_id: ReceiptKeyId,
    },
    /// The key of this id is not one that verifies receipts.
    #[error("the key {key_id} cannot verify signatures")]
    UnusableKey {
        /// `signature.key_id`.
        key_id: ReceiptKeyId,
        /// What is wrong with it.
        source: KeyError,
    },
    /// `signature.value` is not 64 bytes in base64url without padding.
    #[error("the signature is not 64 bytes in base64url without padding")]
    MalformedSignature,
    /// The signature was not made by this key over this document.
    #[error("the signature does not verify with the key {key_id}")]
    BadSignature {
        /// `signature.key_id`.
        key_id: ReceiptKeyId,
    },
    /// The signed receipt claims something else than its processors achieved.
    #[error("the receipt contradicts itself")]
    Claim(#[from] ClaimError),
}

/// Verifies a purge receipt against the keys of `GET /v2/receipt-keys`.
///
/// `receipt` is the JSON as it was received: a [`Value`], best from [`read`](crate::read), or anything that serializes
/// to the same JSON. A typed [`PurgeReceipt`] does that too, unknown members included, as long as its times are written
/// the way Zumik writes them (UTC with `Z`) and it has all members that the contract promises.
///
/// # Errors
///
/// Anything but a receipt that is whole, signed by one of `keys`, and claims exactly the weakest guarantee of its
/// processors. Whether that is strong enough is the caller's question: [`VerifiedReceipt::require`].
pub fn verify<T>(receipt: &T, keys: &ReceiptKeySet) -> Result<VerifiedReceipt, VerifyError>
where
    T: Serialize + ?Sized,
{
    verify_document(receipt, keys)
}

/// Verifies a diagnostic report, as [`verify`] does a receipt.
///
/// # Errors
///
/// Anything but a report that is whole and signed by one of `keys`.
pub fn verify_report<T>(report: &T, keys: &ReceiptKeySet) -> Result<VerifiedReport, VerifyError>
where
    T: Serialize + ?Sized,
{
    verify_document(report, keys)
}

/// `digest` and `signature` of a document.
#[derive(Deserialize)]
struct Seal {
    digest: String,
    signature: Signature,
}

#[derive(Deserialize)]
struct Signature {
    algorithm: String,
    key_id: ReceiptKeyId,
    value: String,
}

fn verify_document<D, T>(document: &T, keys: &ReceiptKeySet) -> Result<Verified<D>, VerifyError>
where
    D: Document,
    T: Serialize + ?Sized,
{
    let malformed = |source| VerifyError::Malformed { object: D::OBJECT, source };

    let document = serde_json::to_value(document).map_err(malformed)?;
    let Seal { digest: stated, signature } = Seal::deserialize(&document).map_err(malformed)?;
    let Value::Object(mut unsealed) = document.clone() else {
        return Err(malformed(serde_json::Error::custom("not an object")));
    };
    match unsealed.get(OBJECT) {
        Some(Value::String(found)) if found == D::OBJECT => {}
        Some(Value::String(found)) => {
            return Err(VerifyError::WrongObject { expected: D::OBJECT, found: found.clone() });
        }
        _ => return Err(malformed(serde_json::Error::missing_field(OBJECT))),
    }

    unsealed.remove(DIGEST);
    unsealed.remove(SIGNATURE);
    let digest = document::digest::<D>(&unsealed)?;
    if digest.to_string() != stated {
        return Err(VerifyError::DigestMismatch { stated, computed: digest });
    }

    let Signature { algorithm, key_id, value } = signature;
    if algorithm != ALGORITHM {
        return Err(VerifyError::UnsupportedAlgorithm { algorithm });
    }
    let key = key::find(keys, &key_id)?;
    let signature = key::decode_base64(&value).ok_or(VerifyError::MalformedSignature)?;
    key.verify_strict(digest.as_bytes(), &ed25519_dalek::Signature::from_bytes(&signature))
        .map_err(|_| VerifyError::BadSignature { key_id: key_id.clone() })?;

    let document: D = serde_json::from_value(document).map_err(malformed)?;
    document.check()?;
    Ok(Verified { document, digest, signed_with_test_key: key::is_test(&key), key_id })
}
