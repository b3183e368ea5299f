//! What the shim (`shim.c`) is told, through a file that both have open.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Members of the struct in `shim.c`, each of 8 bytes.
const CALLS: u64 = 0;
const FAILED: u64 = 1;
const BEGIN: u64 = 2;
const END: u64 = 3;
const KINDS: u64 = 4;
const ERROR: u64 = 5;
const MEMBERS: u64 = 6;

/// Kinds of calls.
pub(super) const WRITE: u64 = 1;
pub(super) const SYNC: u64 = 2;
pub(super) const SIZE: u64 = 4;
pub(super) const NAME: u64 = 8;

/// The file.
pub(super) struct Control {
    file: File,
    path: PathBuf,
}

/// Calls that fail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// Calls before the first that fails.
    pub(super) after: u64,
    /// How many of the calls then fail if they are of the kinds; `u64::MAX` for all until it is ended.
    pub(super) calls: u64,
    /// A sum of kinds.
    pub(super) kinds: u64,
    /// What they fail with.
    pub(super) error: i32,
}

impl Control {
    /// A new file that lets everything succeed.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        file.set_len(MEMBERS * 8)?;
        Ok(Self { file, path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a fault.
    pub(super) fn begin(&self, fault: Fault) {
        let begin = self.get(CALLS) + fault.after;
        self.set(KINDS, fault.kinds);
        self.set(ERROR, fault.error as u64);
        self.set(END, begin.saturating_add(fault.calls));
        self.set(BEGIN, begin);
    }

    /// Ends it.
    pub(super) fn end(&self) {
        self.set(END, 0);
    }

    /// Calls that have failed so far.
    pub(super) fn failed(&self) -> u64 {
        self.get(FAILED)
    }

    fn get(&self, member: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, member * 8).expect("the control file");
        u64::from_ne_bytes(bytes)
    }

    fn set(&self, member: u64, value: u64) {
        self.file.write_all_at(&value.to_ne_bytes(), member * 8).expect("the control file");
    }
}
