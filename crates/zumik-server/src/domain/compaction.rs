//! Summaries that clients carry: sealed under a key of their project, so that only this project's server can read
//! them, and nobody can alter them (contract `v1.md`, "Compact a context into fewer items").

use std::fmt;

use aes_gcm::aead::{Aead as _, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::mint::Mint;

/// The first byte of what is sealed: which form it has.
const FORM: u8 = 1;

/// Bytes of a nonce. It is random: 2^32 summaries of one project stay within what AES-GCM bears.
const NONCE: usize = 12;

/// The key under which a project's summaries are sealed. Erased from memory on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct CompactionKey(Zeroizing<[u8; 32]>);

impl CompactionKey {
    /// A new key.
    pub fn mint(mint: &dyn Mint) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        mint.fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The key of these bytes, if they are as many as a key has.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The bytes, to be kept sealed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Seals a summary: the value of `encrypted_content`. Nothing when it is longer than AES-GCM takes.
    pub fn seal(&self, mint: &dyn Mint, summary: &str) -> Option<String> {
        let mut nonce = [0; NONCE];
        mint.fill(&mut nonce);
        let payload = Payload { msg: summary.as_bytes(), aad: &[FORM] };
        let sealed = self.cipher().encrypt(&Nonce::<Aes256Gcm>::from(nonce), payload).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&[FORM][..], &nonce, &sealed].concat()))
    }

    /// Opens what [`seal`](Self::seal) gave. Nothing when it was altered, or sealed under another key.
    pub fn open(&self, text: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (form, rest) = bytes.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: &[*form] };
        let summary = self.cipher().decrypt(&Nonce::<Aes256Gcm>::from(*nonce), payload).ok()?;
        String::from_utf8(summary).ok()
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.0).into())
    }
}

impl fmt::Debug for CompactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactionKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mint::RandomMint;

    #[test]
    fn a_summary_opens_under_its_own_key_only() {
        let mint = RandomMint::default();
        let (key, other) = (CompactionKey::mint(&mint), CompactionKey::mint(&mint));
        let sealed = key.seal(&mint, "canary \u{1f980}").unwrap();
        assert_eq!(key.open(&sealed).as_deref(), Some("canary \u{1f980}"));
        assert_eq!(CompactionKey::from_bytes(key.as_bytes()).unwrap().open(&sealed), key.open(&sealed));
        assert_eq!(other.open(&sealed), None);
        assert_ne!(key.seal(&mint, "canary \u{1f980}").unwrap(), sealed, "equal texts do not show");
    }

    #[test]
    fn every_altered_character_is_noticed() {
        let mint = RandomMint::default();
        let key = CompactionKey::mint(&mint);
        let sealed = key.seal(&mint, "a summary").unwrap();
        for at in 0..sealed.len() {
            let other = if sealed.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut altered = sealed.clone();
            altered.replace_range(at..=at, other);
            assert_eq!(key.open(&altered), None, "character {at}");
        }
        for text in ["", "A", "!", &sealed[..sealed.len() - 1], &format!("{sealed}=")] {
            assert_eq!(key.open(text), None, "{text}");
        }
    }
}
