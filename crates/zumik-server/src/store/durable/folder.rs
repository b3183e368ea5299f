//! A folder of the server, its files, and the master key in it: replicas on one database may have one as well.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// The file that holds the master key.
pub(in crate::store) const MASTER_KEY_FILE: &str = "master.key";

/// Makes a folder for its owner only, when it is missing. One that is there stays as it is, so files in it are made by
/// [`private_file`].
pub(in crate::store) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Options that make a file for its owner only, to be written. One that is there stays as it is.
pub(in crate::store) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
