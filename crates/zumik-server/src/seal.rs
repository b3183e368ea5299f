//! Sealing of contents at rest: each text is encrypted under a data key of its own (AES-256-GCM), the data
//! key is wrapped by the master key (AES key wrap, RFC 3394). Without its wrapped key a text is gone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{Aead as _, AeadInOut as _, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use aes_kw::KwAes256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::mint::Mint;

/// Bytes of a data key, wrapped.
const WRAPPED: usize = 40;

/// Bytes of the tag that proves a cipher text.
const TAG: usize = 16;

/// Bytes by which a text grows when it is sealed.
pub const SEAL_BYTES: usize = WRAPPED + TAG;

/// What the master key is recognized by.
const PROOF: &[u8] = b"zumik master key";

/// Why something could not be sealed or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The master key is given in a form that is not one.
    #[error("the master key must be 64 hexadecimal digits (32 bytes)")]
    MalformedKey,
    /// The master key is another than the one that the data folder was made with.
    #[error("this is not the master key that the data folder was made with")]
    WrongKey,
    /// The data folder was sealed with a key that is not in this file of it, and none was given.
    #[error("the data folder has no master key: {} is missing", .0.display())]
    NoKey(PathBuf),
    /// The sealed bytes were damaged, or belong to another place.
    #[error("a sealed content is damaged or in the wrong place")]
    Damaged,
    /// The text could not be encrypted.
    #[error("a content could not be sealed")]
    Seal,
    /// The file of the master key could not be read or made.
    #[error("the master key file {} could not be used", .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// The key that wraps all data keys of a data folder. Erased from memory on drop.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// A key from its text form, 64 hexadecimal digits, as in `ZUMIK_MASTER_KEY` and in the key file.
    ///
    /// # Errors
    /// [`SealError::MalformedKey`].
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return Err(SealError::MalformedKey);
        }
        let mut key = Zeroizing::new([0; 32]);
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(Self(key))
    }

    /// A new key.
    pub fn mint(mint: &dyn Mint) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        mint.fill(key.as_mut_slice());
        Self(key)
    }

    /// The key in the file at `path`, or nothing when there is no such file.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key.
    pub fn load(path: &Path) -> Result<Option<Self>, SealError> {
        let failed = |error| SealError::File(path.to_owned(), error);
        let mut text = Zeroizing::new(String::new());
        match File::open(path) {
            Ok(mut file) => file.read_to_string(&mut text).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        Self::parse(&text).map(Some)
    }

    /// Writes the key to a new file at `path` that only its owner can read, durably.
    ///
    /// # Errors
    /// The file exists already, or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), SealError> {
        let failed = |error| SealError::File(path.to_owned(), error);
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.0.iter() {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        if fs::exists(path).map_err(failed)? {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        // Under another name until it is whole: a start that was cut off leaves no half of a key.
        let unfinished = path.with_extension("key.new");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&unfinished).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&unfinished, path).map_err(failed)?;
        match path.parent() {
            Some(folder) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed),
            None => Ok(()),
        }
    }
}

fn hex_digit(digit: u8) -> Result<u8, SealError> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(SealError::MalformedKey)
}

/// Seals and opens contents under one master key.
pub struct Vault {
    wrapper: KwAes256,
}

impl Vault {
    /// The vault of a master key.
    pub fn new(master: &MasterKey) -> Self {
        Self { wrapper: KwAes256::new((&*master.0).into()) }
    }

    /// Seals a text for one `place`, a name that no other text has; it can be opened for that place only.
    /// The result is the wrapped data key, then the cipher text with its tag.
    ///
    /// # Errors
    /// The text is longer than AES-GCM takes.
    pub fn seal(&self, mint: &dyn Mint, place: &[u8], text: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed = vec![0; text.len() + SEAL_BYTES];
        self.seal_into(mint, place, text, &mut sealed)?;
        Ok(sealed)
    }

    /// As [`seal`](Self::seal), to where it shall lie: `sealed` is longer than the text by [`SEAL_BYTES`]. There is no other
    /// copy of either.
    ///
    /// # Errors
    /// The text is longer than AES-GCM takes, or `sealed` has another length.
    pub fn seal_into(
        &self,
        mint: &dyn Mint,
        place: &[u8],
        text: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), SealError> {
        let (wrapped, rest) = sealed.split_at_mut_checked(WRAPPED).ok_or(SealError::Seal)?;
        let (body, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(SealError::Seal)?;
        let mut key = Zeroizing::new([0; 32]);
        mint.fill(key.as_mut_slice());
        self.wrapper.wrap_key(key.as_slice(), wrapped).map_err(|_| SealError::Seal)?;
        let cipher = Aes256Gcm::new((&*key).into());
        // A data key encrypts one text only, so the nonce need not differ.
        let body = InOutBuf::new(text, body).map_err(|_| SealError::Seal)?;
        *tag = cipher
            .encrypt_inout_detached(&Nonce::<Aes256Gcm>::default(), place, body)
            .map_err(|_| SealError::Seal)?
            .into();
        Ok(())
    }

    /// Opens what [`seal`](Self::seal) gave for the same `place`.
    ///
    /// # Errors
    /// [`SealError::Damaged`].
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (wrapped, sealed) = sealed.split_at_checked(WRAPPED).ok_or(SealError::Damaged)?;
        let mut key = Zeroizing::new([0; 32]);
        self.wrapper.unwrap_key(wrapped, key.as_mut_slice()).map_err(|_| SealError::Damaged)?;
        let cipher = Aes256Gcm::new((&*key).into());
        cipher
            .decrypt(&Nonce::<Aes256Gcm>::default(), Payload { msg: sealed, aad: place })
            .map_err(|_| SealError::Damaged)
    }

    /// What a data folder keeps to recognize its master key.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn proof(&self, mint: &dyn Mint) -> Result<Vec<u8>, SealError> {
        self.seal(mint, PROOF, PROOF)
    }

    /// Whether this is the master key that gave the proof.
    ///
    /// # Errors
    /// [`SealError::WrongKey`].
    pub fn check(&self, proof: &[u8]) -> Result<(), SealError> {
        match self.open(PROOF, proof) {
            Ok(text) if text == PROOF => Ok(()),
            _ => Err(SealError::WrongKey),
        }
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mint::RandomMint;

    fn vault() -> (Vault, RandomMint) {
        let mint = RandomMint::default();
        (Vault::new(&MasterKey::mint(&mint)), mint)
    }

    #[test]
    fn what_is_sealed_opens_for_its_place_only() {
        let (vault, mint) = vault();
        let sealed = vault.seal(&mint, b"a", b"canary").unwrap();
        assert_eq!(vault.open(b"a", &sealed).unwrap(), b"canary");
        assert!(matches!(vault.open(b"b", &sealed), Err(SealError::Damaged)));
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (vault, mint) = vault();
        let sealed = vault.seal(&mint, b"a", b"text").unwrap();
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(vault.open(b"a", &damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_text_is_sealed_only_to_where_it_just_fits() {
        let (vault, mint) = vault();
        for text in [&b""[..], b"text"] {
            for length in 0..text.len() + SEAL_BYTES + 2 {
                let sealed = vault.seal_into(&mint, b"a", text, &mut vec![0; length]);
                assert_eq!(sealed.is_ok(), length == text.len() + SEAL_BYTES, "{length}");
            }
            assert_eq!(vault.open(b"a", &vault.seal(&mint, b"a", text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn another_master_key_is_refused() {
        let (vault, mint) = vault();
        let proof = vault.proof(&mint).unwrap();
        assert!(vault.check(&proof).is_ok());
        let other = Vault::new(&MasterKey::mint(&mint));
        assert!(matches!(other.check(&proof), Err(SealError::WrongKey)));
    }

    #[test]
    fn a_key_file_is_private_and_gives_the_same_key_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let key = MasterKey::mint(&RandomMint::default());
        // What a start that was cut off may have left.
        fs::write(folder.path().join("master.key.new"), "0123").unwrap();
        assert!(MasterKey::load(&path).unwrap().is_none());
        key.save(&path).unwrap();
        assert_eq!(MasterKey::load(&path).unwrap().unwrap().0, key.0);
        assert!(key.save(&path).is_err(), "an existing key is never overwritten");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn keys_that_are_not_64_hex_digits_are_refused() {
        for text in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert!(matches!(MasterKey::parse(text), Err(SealError::MalformedKey)), "{text}");
        }
    }
}
