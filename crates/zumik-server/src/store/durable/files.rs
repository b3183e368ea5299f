//! Files, sealed ahead of the transaction that keeps them.

use chrono::{DateTime, Utc};
use zumik_types::{Extra, File, FileStatus, ObjectType};

use super::ids::file_id;
use super::{Seal, place};
use crate::store::rules::whole_seconds;
use crate::store::{NewFile, Result};

/// A file ready to be inserted: minted and sealed ahead.
pub(in crate::store) struct SealedFile {
    pub(in crate::store) file: File,
    /// What the database keeps of its id.
    pub(in crate::store) key: [u8; 12],
    pub(in crate::store) content: Vec<u8>,
}

impl SealedFile {
    pub(in crate::store) fn new(env: &impl Seal, now: DateTime<Utc>, new: NewFile) -> Result<Self> {
        let mut key = [0; 12];
        env.mint().fill(&mut key);
        let content = env.seal(&place("file", &key), &new.content)?;
        let file = File {
            id: file_id(key),
            object: ObjectType::File,
            bytes: new.content.len() as u64,
            created_at: whole_seconds(now),
            filename: new.filename,
            purpose: new.purpose,
            status: Some(FileStatus::Processed),
            expires_at: new.expires_at.map(whole_seconds),
            extra: Extra::new(),
        };
        Ok(Self { file, key, content })
    }
}
