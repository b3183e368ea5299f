//! A folder of the server, and the master key in it: replicas on one database may have one as well.

use std::fs::DirBuilder;
use std::io;
use std::path::Path;

/// The file that holds the master key.
pub(in crate::store) const MASTER_KEY_FILE: &str = "master.key";

/// Makes a folder for its owner only, when it is missing.
pub(in crate::store) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
