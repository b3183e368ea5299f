//! A disk that keeps what was synchronized, and of the rest whatever it likes.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;

use fastrand::Rng;

use super::trace::What;

/// What a disk writes at once: a write that is torn keeps some of these whole.
const SECTOR: usize = 512;

/// What lies on the disk for certain, and what may.
///
/// A write or a new size of a file is certain after the file is synchronized; a name after the folder is, or, when the
/// file is new, the file itself. Until then a loss of power keeps any of the writes, whole or torn, in any order, and
/// the first few of the changes of names: file systems keep a journal of these.
#[derive(Debug, Default)]
pub struct Disk {
    files: Vec<File>,
    /// The file that an inode is now.
    inodes: HashMap<u64, usize>,
    names: BTreeMap<String, usize>,
    renamings: Vec<Naming>,
}

#[derive(Debug, Default)]
struct File {
    certain: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { size: usize },
}

#[derive(Debug, Clone)]
enum Naming {
    Create { name: String, file: usize },
    Unlink { name: String },
    Rename { from: String, to: String },
}

/// What a loss of power keeps of what is not certain.
#[derive(Debug, Clone, Copy)]
pub enum Loss {
    /// Nothing of it.
    All,
    /// All of it: the crash of a process.
    Nothing,
    /// Each change with a chance of so many percent, every fifth of them torn.
    Some(u8),
}

/// The files of a folder after a loss of power.
pub type Remnant = BTreeMap<String, Vec<u8>>;

impl Disk {
    /// Does what was done.
    pub fn apply(&mut self, what: &What) {
        match what {
            What::Create { inode, name } => {
                let file = self.files.len();
                self.files.push(File::default());
                self.inodes.insert(*inode, file);
                self.renamings.push(Naming::Create { name: name.clone(), file });
            }
            What::Write { inode, offset, bytes } => {
                let change = Change::Write { offset: *offset as usize, bytes: bytes.clone() };
                self.file(*inode).changes.push(change);
            }
            What::Truncate { inode, size } => {
                self.file(*inode).changes.push(Change::Truncate { size: *size as usize });
            }
            What::Sync { inode } => self.sync(*inode),
            What::SyncFolder => {
                for naming in std::mem::take(&mut self.renamings) {
                    naming.apply(&mut self.names);
                }
            }
            What::Unlink { name } => self.renamings.push(Naming::Unlink { name: name.clone() }),
            What::Rename { from, to } => {
                self.renamings.push(Naming::Rename { from: from.clone(), to: to.clone() });
            }
        }
    }

    fn file(&mut self, inode: u64) -> &mut File {
        let file = self.inodes.get(&inode).expect("a file that was created in the folder");
        &mut self.files[*file]
    }

    fn sync(&mut self, inode: u64) {
        let File { certain, changes } = self.file(inode);
        for change in changes.drain(..) {
            change.apply(certain);
        }
        let synced = self.inodes[&inode];
        let is_its_creation =
            |naming: &mut Naming| matches!(naming, Naming::Create { file, .. } if *file == synced);
        for naming in self.renamings.extract_if(.., is_its_creation) {
            naming.apply(&mut self.names);
        }
    }

    /// How many changes are not certain.
    pub fn uncertain(&self) -> usize {
        self.renamings.len() + self.files.iter().map(|file| file.changes.len()).sum::<usize>()
    }

    /// What is there when the power goes now.
    pub fn lose_power(&self, loss: Loss, random: &mut Rng) -> Remnant {
        let kept = match loss {
            Loss::All => 0,
            Loss::Nothing => self.renamings.len(),
            Loss::Some(_) => random.usize(..=self.renamings.len()),
        };
        let mut names = self.names.clone();
        for naming in &self.renamings[..kept] {
            naming.apply(&mut names);
        }
        names.into_iter().map(|(name, file)| (name, self.files[file].after(loss, random))).collect()
    }
}

impl File {
    fn after(&self, loss: Loss, random: &mut Rng) -> Vec<u8> {
        let mut bytes = self.certain.clone();
        for change in &self.changes {
            match loss {
                Loss::All => {}
                Loss::Nothing => change.apply(&mut bytes),
                Loss::Some(percent) if random.u8(..100) >= percent => {}
                Loss::Some(_) if random.u8(..5) == 0 => change.tear(&mut bytes, random),
                Loss::Some(_) => change.apply(&mut bytes),
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Truncate { size } => file.resize(*size, 0),
            Self::Write { offset, bytes } => put(file, *offset, bytes),
        }
    }

    /// Applies some of the sectors that a write touches.
    fn tear(&self, file: &mut Vec<u8>, random: &mut Rng) {
        let Self::Write { offset, bytes } = self else { return self.apply(file) };
        let (mut place, mut rest) = (*offset, bytes.as_slice());
        while !rest.is_empty() {
            let (sector, after) = rest.split_at(rest.len().min(SECTOR - place % SECTOR));
            if random.bool() {
                put(file, place, sector);
            }
            place += sector.len();
            rest = after;
        }
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create { name, file } => {
                names.insert(name.clone(), *file);
            }
            Self::Unlink { name } => {
                names.remove(name);
            }
            Self::Rename { from, to } => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

/// Writes files into a folder.
///
/// # Errors
/// One cannot be written.
pub fn restore(remnant: &Remnant, folder: &Path) -> io::Result<()> {
    remnant.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(inode: u64, name: &str) -> What {
        What::Create { inode, name: name.to_owned() }
    }

    fn write(inode: u64, offset: u64, bytes: &[u8]) -> What {
        What::Write { inode, offset, bytes: bytes.to_vec() }
    }

    fn disk(ops: &[What]) -> Disk {
        let mut disk = Disk::default();
        ops.iter().for_each(|op| disk.apply(op));
        disk
    }

    fn remnant<const N: usize>(files: [(&str, &[u8]); N]) -> Remnant {
        files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
    }

    #[test]
    fn what_is_synchronized_stays() {
        let ops = [create(1, "a"), write(1, 0, b"first"), What::Sync { inode: 1 }, write(1, 5, b", second")];
        let mut random = Rng::with_seed(1);
        assert_eq!(disk(&ops).lose_power(Loss::All, &mut random), remnant([("a", b"first")]));
        assert_eq!(disk(&ops).lose_power(Loss::Nothing, &mut random), remnant([("a", b"first, second")]));
    }

    #[test]
    fn a_name_is_certain_when_its_folder_is_synchronized() {
        let old = [create(1, "a"), write(1, 0, b"old"), What::Sync { inode: 1 }, What::SyncFolder];
        let new = [create(2, "b"), write(2, 0, b"new"), What::Sync { inode: 2 }];
        let rename = What::Rename { from: "b".to_owned(), to: "a".to_owned() };
        let mut ops = [&old[..], &new, &[rename]].concat();
        let mut random = Rng::with_seed(1);
        assert_eq!(disk(&ops).lose_power(Loss::All, &mut random), remnant([("a", b"old"), ("b", b"new")]));
        ops.push(What::SyncFolder);
        assert_eq!(disk(&ops).lose_power(Loss::All, &mut random), remnant([("a", b"new")]));
    }

    #[test]
    fn an_inode_that_is_used_again_is_another_file() {
        let first = [create(1, "a"), write(1, 0, b"old"), What::Sync { inode: 1 }, What::SyncFolder];
        let ops = [&first[..], &[What::Unlink { name: "a".to_owned() }, create(1, "b")]].concat();
        let mut random = Rng::with_seed(1);
        assert_eq!(disk(&ops).lose_power(Loss::All, &mut random), remnant([("a", b"old")]));
        assert_eq!(disk(&ops).lose_power(Loss::Nothing, &mut random), remnant([("b", b"")]));
    }

    #[test]
    fn writes_are_lost_torn_and_out_of_order() {
        let page = [7; 2 * SECTOR];
        let disk = disk(&[create(1, "a"), What::SyncFolder, write(1, 0, &page), write(1, 1024, &page)]);
        let mut random = Rng::with_seed(1);
        let states: Vec<Vec<u8>> =
            (0..2_000).map(|_| disk.lose_power(Loss::Some(50), &mut random)["a"].clone()).collect();
        let sectors = |state: &[u8]| state.chunks(SECTOR).map(|sector| sector[0]).collect::<Vec<_>>();
        for state in [&[][..], &[7, 7], &[0, 0, 7, 7], &[7, 7, 7, 7], &[0, 7], &[7, 7, 0, 7]] {
            assert!(states.iter().any(|found| sectors(found) == state), "{state:?}");
        }
    }
}
