//! The vector of an embedding: numbers, or the same numbers packed into a text.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of one entry of a packed vector.
const ENTRY: usize = size_of::<f32>();

/// More entries than this are not reserved before they are read.
const RESERVED: usize = 4_096;

/// The vector of an [`Embedding`](crate::Embedding), in the form that the request asked for.
///
/// [`to_floats`](Self::to_floats) gives the numbers of either form. `Debug` prints the length only: a text can be
/// guessed from its vector.
///
/// Source: `v1.md#embeddings`.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum EmbeddingVector {
    /// `encoding_format: "float"`: an array of numbers.
    Floats(Vec<f32>),
    /// `encoding_format: "base64"`: little-endian single-precision numbers in standard base64. A third of the size.
    Base64(String),
}

/// A packed vector that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// The text is not standard base64.
    #[error("the vector is not standard base64")]
    NotBase64,
    /// The number of bytes is no multiple of four.
    #[error("the vector has {0} bytes, which is no multiple of 4")]
    Length(usize),
}

impl EmbeddingVector {
    /// Packs a vector: the form that the answer to `encoding_format: "base64"` has.
    pub fn pack(floats: &[f32]) -> Self {
        let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
        Self::Base64(STANDARD.encode(bytes))
    }

    /// The numbers. Nothing is copied if the answer had them as numbers.
    ///
    /// # Errors
    ///
    /// When a packed vector is no base64, or has a part of a number at its end.
    pub fn to_floats(&self) -> Result<Cow<'_, [f32]>, EmbeddingError> {
        match self {
            Self::Floats(floats) => Ok(Cow::Borrowed(floats)),
            Self::Base64(text) => unpack(text).map(Cow::Owned),
        }
    }

    /// The numbers, by value.
    ///
    /// # Errors
    ///
    /// As [`to_floats`](Self::to_floats).
    pub fn into_floats(self) -> Result<Vec<f32>, EmbeddingError> {
        match self {
            Self::Floats(floats) => Ok(floats),
            Self::Base64(text) => unpack(&text),
        }
    }
}

fn unpack(text: &str) -> Result<Vec<f32>, EmbeddingError> {
    let bytes = STANDARD.decode(text).map_err(|_| EmbeddingError::NotBase64)?;
    let (entries, rest) = bytes.as_chunks::<ENTRY>();
    if !rest.is_empty() {
        return Err(EmbeddingError::Length(bytes.len()));
    }
    Ok(entries.iter().map(|entry| f32::from_le_bytes(*entry)).collect())
}

impl From<Vec<f32>> for EmbeddingVector {
    fn from(floats: Vec<f32>) -> Self {
        Self::Floats(floats)
    }
}

impl fmt::Debug for EmbeddingVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floats(floats) => write!(f, "Floats(<{} numbers>)", floats.len()),
            Self::Base64(text) => write!(f, "Base64(<{} bytes>)", text.len()),
        }
    }
}

impl Serialize for EmbeddingVector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Floats(floats) => floats.serialize(serializer),
            Self::Base64(text) => text.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EmbeddingVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = EmbeddingVector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers or a base64 string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<EmbeddingVector, E> {
        Ok(EmbeddingVector::Base64(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<EmbeddingVector, E> {
        Ok(EmbeddingVector::Base64(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<EmbeddingVector, A::Error> {
        let mut floats = Vec::with_capacity(entries.size_hint().unwrap_or(0).min(RESERVED));
        while let Some(float) = entries.next_element()? {
            floats.push(float);
        }
        Ok(EmbeddingVector::Floats(floats))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn both_forms_hold_the_same_numbers(floats in proptest::collection::vec(any::<f32>(), 0..8)) {
            let bits = |floats: &[f32]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
            let packed = EmbeddingVector::pack(&floats).into_floats().unwrap();
            prop_assert_eq!(bits(&packed), bits(&floats));
            let plain = EmbeddingVector::from(floats.clone());
            prop_assert_eq!(bits(&plain.to_floats().unwrap()), bits(&floats));
        }

        #[test]
        fn every_form_round_trips(vector: EmbeddingVector) {
            crate::laws::round_trip(&vector)?;
        }
    }

    #[test]
    fn a_packed_vector_is_little_endian_single_precision() {
        let vector: EmbeddingVector = serde_json::from_value(json!("AACAPwAAAMA=")).unwrap();
        assert_eq!(vector.to_floats().unwrap().as_ref(), [1.0, -2.0]);
        assert_eq!(vector, EmbeddingVector::pack(&[1.0, -2.0]));
    }

    #[test]
    fn an_unreadable_vector_says_why() {
        let packed = |text: &str| EmbeddingVector::Base64(text.to_owned());
        assert_eq!(packed("AACAPw").to_floats(), Err(EmbeddingError::NotBase64));
        assert_eq!(packed("AACAPwA=").into_floats(), Err(EmbeddingError::Length(5)));
        let error = serde_json::from_value::<EmbeddingVector>(json!({"v": 1})).unwrap_err().to_string();
        assert!(error.ends_with("expected an array of numbers or a base64 string"), "{error}");
    }

    #[test]
    fn debug_tells_the_length_and_no_number() {
        assert_eq!(format!("{:?}", EmbeddingVector::from(vec![0.5; 3])), "Floats(<3 numbers>)");
    }
}
