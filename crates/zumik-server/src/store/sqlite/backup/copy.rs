//! Reading a file once, for its digest and for a copy of it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::manifest::FileRecord;
use super::{BackupError, Result, Stage, Watch, tell};

/// Bytes that are read at a time.
const CHUNK: usize = 1024 * 1024;

/// Reads a file to its end, into `copy` too when there is one; gives its length and digest.
pub(super) fn digest(path: &Path, mut copy: Option<(&Path, File)>, watch: Watch<'_>) -> Result<FileRecord> {
    let failed = |error| BackupError::File(path.to_owned(), error);
    let mut file = File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let read = file.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            return Ok(FileRecord::new(done, hex(&hash.finalize())));
        }
        hash.update(&chunk[..read]);
        if let Some((path, copy)) = &mut copy {
            copy.write_all(&chunk[..read]).map_err(|error| BackupError::File(path.to_path_buf(), error))?;
        }
        done += read as u64;
        tell(watch, Stage::Reading, done, total)?;
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
