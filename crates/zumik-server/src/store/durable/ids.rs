//! Public ids as the database keeps them: the 16 bytes of the ULID behind the prefix.

use ulid::Ulid;
use zumik_types::{
    AgentHintsId, ArtifactId, BatchId, BranchId, BundleId, ConversationId, DiagnosticId, EventId, FileId,
    KeyId, ModelAliasReleaseId, ProjectId, PurgeJobId, PurgeReceiptId, ReceiptKeyId, ResponseId, SessionId,
    SnapshotId, UsageEventId, V1ResponseId,
};

/// An id that the store mints.
pub(in crate::store) trait PublicId: Sized {
    const PREFIX: &'static str;

    fn text(&self) -> &str;

    fn with(suffix: &str) -> Self;

    /// What the database keeps of the id, or nothing when no id of this server has this form.
    fn key(&self) -> Option<[u8; 16]> {
        let suffix = self.text().strip_prefix(Self::PREFIX)?;
        // Other spellings of the same ULID are other ids.
        if suffix.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let ulid = Ulid::from_string(suffix).ok()?;
        (Self::from_key(ulid.to_bytes()).text() == self.text()).then(|| ulid.to_bytes())
    }

    /// The id that the database keeps as `key`.
    fn from_key(key: [u8; 16]) -> Self {
        let mut buffer = [0; ulid::ULID_LEN];
        let text = Ulid::from_bytes(key).array_to_str(&mut buffer);
        text.make_ascii_lowercase();
        Self::with(text)
    }
}

macro_rules! public_ids {
    ($($id:ident),+ $(,)?) => {$(
        impl PublicId for $id {
            const PREFIX: &'static str = $id::PREFIXES[0];

            fn text(&self) -> &str {
                self.as_str()
            }

            fn with(suffix: &str) -> Self {
                Self::with_suffix(suffix)
            }
        }
    )+};
}

public_ids!(
    AgentHintsId,
    ArtifactId,
    BatchId,
    BranchId,
    BundleId,
    ConversationId,
    DiagnosticId,
    EventId,
    KeyId,
    ModelAliasReleaseId,
    ProjectId,
    PurgeJobId,
    PurgeReceiptId,
    ReceiptKeyId,
    ResponseId,
    SessionId,
    SnapshotId,
    UsageEventId,
    V1ResponseId,
);

/// The 12 bytes behind the prefix of a file id.
pub(in crate::store) fn file_key(id: &FileId) -> Option<[u8; 12]> {
    let digits = id.as_str().strip_prefix(FileId::PREFIXES[0])?;
    if digits.len() != 24 || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut key = [0; 12];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(key)
}

/// The file id of 12 bytes.
pub(in crate::store) fn file_id(key: [u8; 12]) -> FileId {
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    FileId::with_suffix(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_goes_to_bytes_and_back() {
        let id = EventId::with_suffix("01jy7naa12b3c4d5e6f7g8h9jk");
        assert_eq!(EventId::from_key(id.key().unwrap()), id);
        let file = FileId::with_suffix("9f2a3c1e7b4d8a6f2c1e7b4d");
        assert_eq!(file_id(file_key(&file).unwrap()), file);
    }

    #[test]
    fn other_spellings_are_no_ids_of_this_server() {
        for suffix in [
            "01JY7NAA12B3C4D5E6F7G8H9JK",
            "01jy7naa12b3c4d5e6f7g8h9jl",
            "x",
            "",
            "é",
            "8zzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert_eq!(EventId::with_suffix(suffix).key(), None, "{suffix}");
        }
        for suffix in ["9F2A3C1E7B4D8A6F2C1E7B4D", "9f2a", "éééééééééééé"] {
            assert_eq!(file_key(&FileId::with_suffix(suffix)), None, "{suffix}");
        }
    }
}
