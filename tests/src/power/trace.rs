//! What a process did to the files of one folder: the records of `shim.c`.

use std::fs;
use std::io;
use std::path::Path;

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// When it began, on the monotonic clock, in nanoseconds.
    pub time: u64,
    /// What it was.
    pub what: What,
}

/// What can be done to the files of a folder. A file is named by its inode, which may be used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A new, empty file.
    Create { inode: u64, name: String },
    /// Bytes at an offset.
    Write { inode: u64, offset: u64, bytes: Vec<u8> },
    /// A new size.
    Truncate { inode: u64, size: u64 },
    /// All of the file is on the disk now.
    Sync { inode: u64 },
    /// All names of the folder are on the disk now.
    SyncFolder,
    /// A name less.
    Unlink { name: String },
    /// Another name.
    Rename { from: String, to: String },
}

/// Bytes of a record before what it carries.
const HEAD: usize = 32;

/// Reads a trace. A record that the end of the process cut off is left out.
///
/// # Errors
/// The file cannot be read, or is no trace.
pub fn read(path: &Path) -> io::Result<Vec<Op>> {
    let bytes = fs::read(path)?;
    let mut rest = bytes.as_slice();
    let mut ops = Vec::new();
    while let Some((head, after)) = rest.split_at_checked(HEAD) {
        let word = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let half = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let Some((carried, next)) = after.split_at_checked(half(28) as usize) else { break };
        let what = what(half(24), word(8), word(16), carried)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a trace of the shim"))?;
        ops.push(Op { time: word(0), what });
        rest = next;
    }
    Ok(ops)
}

fn what(kind: u32, inode: u64, offset: u64, carried: &[u8]) -> Option<What> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some(match kind {
        1 => What::Create { inode, name: text(carried)? },
        2 => What::Write { inode, offset, bytes: carried.to_vec() },
        3 => What::Truncate { inode, size: offset },
        4 => What::Sync { inode },
        5 => What::SyncFolder,
        6 => What::Unlink { name: text(carried)? },
        7 => {
            let zero = carried.iter().position(|byte| *byte == 0)?;
            What::Rename { from: text(&carried[..zero])?, to: text(&carried[zero + 1..])? }
        }
        _ => return None,
    })
}
