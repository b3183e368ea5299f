//! The local vector: a pure function of the text, of unit length. It has no meaning; equal texts have equal vectors.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The vector of a text.
pub(super) fn of(text: &str, dimensions: usize) -> Vec<f32> {
    let mut numbers =
        Numbers(Sha256::digest(text).iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte)));
    let vector: Vec<f64> = (0..dimensions).map(|_| numbers.next()).collect();
    let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    // All zeros is possible in theory only; then the vector is the first axis.
    if length == 0.0 {
        return (0..dimensions).map(|n| if n == 0 { 1.0 } else { 0.0 }).collect();
    }
    vector.iter().map(|x| (x / length) as f32).collect()
}

/// A vector as little-endian f32 in standard base64.
pub(super) fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Numbers from -1 to 1, by SplitMix64: fast, and the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // The upper 53 bits are all that a float holds.
        (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_a_function_of_the_text_and_has_unit_length() {
        for dimensions in [1, 2, 256, 4_096] {
            let vector = of("first chunk", dimensions);
            assert_eq!((vector.len(), &vector), (dimensions, &of("first chunk", dimensions)));
            let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
        }
        assert_ne!(of("first chunk", 8), of("second chunk", 8));
        assert_eq!(of("first chunk", 4)[..1].len(), 1);
    }

    #[test]
    fn the_vector_of_a_text_never_changes() {
        let expected = of("Review the latest patch.", 2);
        assert!((f64::from(expected[0]).powi(2) + f64::from(expected[1]).powi(2) - 1.0).abs() < 1e-6);
        assert_eq!(base64(&[1.0, -2.0]), "AACAPwAAAMA=");
    }
}
