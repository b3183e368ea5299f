//! What a purge must leave nothing of, in any file of the data folder.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use ulid::Ulid;
use zumik_client::types::ArtifactId;

/// Bytes that a purged artifact was recognized by: of its sealed contents, where their wrapped keys are.
pub(crate) type Probe = [u8; PROBE];

/// Long enough not to be met by chance.
const PROBE: usize = 32;

/// Bytes before a sealed text that say how long it is.
const LENGTH: usize = 8;

/// What the database holds of an artifact: content, metadata and the answers that repeat them.
///
/// # Panics
/// When the database cannot be read, or has none of them: then the search would find nothing either.
pub(super) fn of(data: &Path, artifact: &ArtifactId) -> Vec<Probe> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(data.join("zumik.db"), flags).expect("the database opens");
    let suffix = artifact.as_str().strip_prefix(ArtifactId::PREFIXES[0]).expect("an artifact's id");
    let key = Ulid::from_string(suffix).expect("a ULID").to_bytes();
    let mut statement = conn
        .prepare(
            "SELECT c.record FROM artifacts a, contents c WHERE a.public_id = ?1 AND (
               c.id = a.content OR c.id = a.metadata
               OR c.id IN (SELECT w.content FROM answer_artifacts x JOIN answers w ON w.id = x.answer
                           WHERE x.artifact = a.id))",
        )
        .expect("the schema of the store");
    let records = statement.query_map([&key[..]], |row| row.get::<_, Vec<u8>>(0)).expect("a query");
    records.map(|record| probe(&record.expect("a record"))).collect()
}

/// The first bytes of the sealed text in a record, behind the zeros and the length.
fn probe(record: &[u8]) -> Probe {
    let length = record.iter().position(|byte| *byte != 0).expect("a record is not empty");
    let sealed = &record[length + LENGTH..];
    sealed[..PROBE].try_into().expect("a sealed text is longer than a probe")
}

/// Everything that must not be found.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    probes: HashSet<Probe>,
    /// By their first two bytes: what most places of a file fail at once.
    beginnings: HashSet<[u8; 2]>,
}

impl Remains {
    pub(crate) fn extend(&mut self, probes: impl IntoIterator<Item = Probe>) {
        for probe in probes {
            self.beginnings.insert([probe[0], probe[1]]);
            self.probes.insert(probe);
        }
    }

    /// Looks through every file of the folder.
    ///
    /// # Panics
    /// When something is found.
    pub(crate) fn check(&self, data: &Path) {
        let mut begins = vec![false; 1 << 16];
        for beginning in &self.beginnings {
            begins[usize::from(u16::from_le_bytes(*beginning))] = true;
        }
        for entry in fs::read_dir(data).expect("the data folder") {
            let path = entry.expect("an entry of the folder").path();
            let bytes = fs::read(&path).expect("a file of the folder");
            let found = bytes.windows(PROBE).position(|window| {
                begins[usize::from(u16::from_le_bytes([window[0], window[1]]))]
                    && self.probes.contains(window)
            });
            assert_eq!(found, None, "purged content is in {}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_in_any_file_is_found() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut record = vec![0; 100];
        record.extend(40_u64.to_le_bytes());
        record.extend(1..=40_u8);
        let mut remains = Remains::default();
        remains.extend([probe(&record)]);
        fs::write(folder.path().join("clean"), vec![1; 5_000]).expect("a file");
        remains.check(folder.path());
        fs::write(folder.path().join("zumik.db-wal"), &record).expect("a file");
        assert!(std::panic::catch_unwind(|| remains.check(folder.path())).is_err());
    }
}
