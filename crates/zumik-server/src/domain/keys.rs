//! API keys: their form, and what is kept of one.

use sha2::{Digest as _, Sha256};

use thiserror::Error;

use crate::mint::Mint;

/// Most characters of the name of a key (contract `v2.md`, "API keys") or a project.
pub const LONGEST_NAME: usize = 128;

/// The prefix of a new key.
const PREFIX: &str = "zk_live_";

/// The alphabet behind the prefix.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// SHA-256 of a key: what is kept of it, and what it is looked up by.
pub fn key_hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// A new key: `zk_live_` and 32 url-safe characters.
pub fn mint_key(mint: &dyn Mint) -> String {
    let mut bytes = [0; 32];
    mint.fill(&mut bytes);
    let suffix = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)]));
    PREFIX.chars().chain(suffix).collect()
}

/// What cannot be the name of a key or a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// Nobody could see it.
    #[error("a name must not be blank")]
    Blank,
    /// It is too long.
    #[error("a name has at most {LONGEST_NAME} characters, and this one {0}")]
    TooLong(usize),
    /// It could do harm where it is shown.
    #[error("a name must not have control characters, such as a line break")]
    Control,
}

/// Checks the name of a key or a project.
///
/// # Errors
/// It is blank, too long, or has control characters.
pub fn check_name(name: &str) -> Result<(), InvalidName> {
    let length = name.chars().count();
    if name.trim().is_empty() {
        Err(InvalidName::Blank)
    } else if length > LONGEST_NAME {
        Err(InvalidName::TooLong(length))
    } else if name.contains(char::is_control) {
        Err(InvalidName::Control)
    } else {
        Ok(())
    }
}

/// A key for people to recognize: its prefix, the first and the last four characters behind it.
pub fn masked_key(secret: &str) -> String {
    let (prefix, rest) = match secret.match_indices('_').nth(1) {
        Some((at, _)) => secret.split_at(at + 1),
        None => ("", secret),
    };
    let characters: Vec<char> = rest.chars().collect();
    if characters.len() < 12 {
        return format!("{prefix}…");
    }
    let (first, last) = (&characters[..4], &characters[characters.len() - 4..]);
    format!("{prefix}{}…{}", String::from_iter(first), String::from_iter(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mint::RandomMint;

    #[test]
    fn a_new_key_has_the_documented_form() {
        let mint = RandomMint::default();
        let key = mint_key(&mint);
        let suffix = key.strip_prefix("zk_live_").unwrap();
        assert_eq!(suffix.len(), 32);
        assert!(suffix.bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(key, mint_key(&mint));
    }

    #[test]
    fn a_masked_key_shows_four_characters_at_each_end() {
        assert_eq!(masked_key("zk_live_4ab2Qn8xVc1pLm7sRtZk9wUe3yHd0fGcdef"), "zk_live_4ab2…cdef");
    }

    #[test]
    fn a_name_is_seen_and_not_too_long() {
        for name in ["ci", " ci ", "Łódź 7", &"ä".repeat(LONGEST_NAME)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for (name, problem) in [
            ("", InvalidName::Blank),
            (" \t\u{a0}", InvalidName::Blank),
            ("a\nb", InvalidName::Control),
            (&*"ä".repeat(LONGEST_NAME + 1), InvalidName::TooLong(LONGEST_NAME + 1)),
        ] {
            assert_eq!(check_name(name), Err(problem), "{name:?}");
        }
    }

    #[test]
    fn a_short_key_is_masked_whole() {
        assert_eq!(masked_key("zk_test_abcdefgh"), "zk_test_…");
    }
}
