//! Signing, for whoever issues receipts and reports.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use serde::{Serialize, de::Error as _};
use serde_json::{Map, Value, json};
use zumik_types::{DiagnosticReport, Extra, PurgeReceipt, ReceiptKey, ReceiptKeyId, Signature};

use crate::{
    CanonicalError, ClaimError, Digest,
    document::{self, ALGORITHM, DIGEST, Document, OBJECT, SIGNATURE},
    key,
};

/// An Ed25519 key that signs receipts and reports. The private half is erased from memory on drop and never printed.
pub struct SigningKey {
    id: ReceiptKeyId,
    key: ed25519_dalek::SigningKey,
}

/// Digest and signature of a document: what to put into its `digest` and `signature`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Signed {
    /// Goes into `digest`, as text.
    pub digest: Digest,
    /// Goes into `signature`.
    pub signature: Signature,
}

/// Why a document was not signed. Whatever is signed does verify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// It is not a receipt or report, or not a complete one.
    #[error("the document does not have the form of a signed one")]
    Malformed(#[source] serde_json::Error),
    /// Its `object` names no kind of document that is signed.
    #[error("a document with `object` {object:?} is not signed")]
    UnsupportedObject {
        /// The `object` found.
        object: String,
    },
    /// It carries a number that it must not.
    #[error("the document has no canonical form")]
    NotCanonical(#[from] CanonicalError),
    /// It is a receipt that claims something else than its processors achieved.
    #[error("the receipt contradicts itself")]
    Claim(#[from] ClaimError),
}

impl SigningKey {
    /// The key that belongs to a seed, the private key of RFC 8032. The caller erases its own copy of the seed.
    pub fn from_seed(id: impl Into<ReceiptKeyId>, seed: &[u8; 32]) -> Self {
        Self { id: id.into(), key: ed25519_dalek::SigningKey::from_bytes(seed) }
    }

    /// The id under which the public half is listed.
    pub const fn id(&self) -> &ReceiptKeyId {
        &self.id
    }

    /// The public half, as an entry of `GET /v2/receipt-keys`.
    pub fn public_key(&self) -> ReceiptKey {
        ReceiptKey {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            kid: self.id.clone(),
            usage: "sig".into(),
            alg: "EdDSA".into(),
            x: BASE64_URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes()),
            extra: Extra::new(),
        }
    }

    /// Whether this is the published test key of RFC 8037. A server outside tests refuses to start with it.
    pub fn is_test_key(&self) -> bool {
        key::is_test(&self.key.verifying_key())
    }

    /// Signs a purge receipt or a diagnostic report. A `digest` and `signature` that it has already are ignored.
    ///
    /// # Errors
    ///
    /// A document that would not verify: of another kind, incomplete, with numbers that have no exact canonical form,
    /// or with a guarantee that is not the weakest of its processors.
    pub fn sign<T>(&self, document: &T) -> Result<Signed, SignError>
    where
        T: Serialize + ?Sized,
    {
        let Value::Object(mut unsealed) = serde_json::to_value(document).map_err(SignError::Malformed)?
        else {
            return Err(SignError::Malformed(serde_json::Error::custom("not an object")));
        };
        unsealed.remove(DIGEST);
        unsealed.remove(SIGNATURE);
        match unsealed.get(OBJECT).and_then(Value::as_str) {
            Some(PurgeReceipt::OBJECT) => self.sign_members::<PurgeReceipt>(unsealed),
            Some(DiagnosticReport::OBJECT) => self.sign_members::<DiagnosticReport>(unsealed),
            Some(object) => Err(SignError::UnsupportedObject { object: object.to_owned() }),
            None => Err(SignError::Malformed(serde_json::Error::missing_field(OBJECT))),
        }
    }

    fn sign_members<D: Document>(&self, mut members: Map<String, Value>) -> Result<Signed, SignError> {
        let digest = document::digest::<D>(&members)?;
        let signature = Signature {
            algorithm: ALGORITHM.into(),
            key_id: self.id.clone(),
            value: BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(digest.as_bytes()).to_bytes()),
            extra: Extra::new(),
        };
        members.insert(DIGEST.to_owned(), json!(digest.to_string()));
        members.insert(SIGNATURE.to_owned(), json!(signature));
        let document: D = serde_json::from_value(Value::Object(members)).map_err(SignError::Malformed)?;
        document.check()?;
        Ok(Signed { digest, signature })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}
