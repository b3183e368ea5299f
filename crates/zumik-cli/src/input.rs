//! A file that is named on the command line; `-` is standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::term;

/// More than any trace file or prompt: a wrong file must not fill the memory.
const LARGEST: u64 = 256 * 1024 * 1024;

/// How messages call it.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        term::printable(&path.display().to_string())
    }
}

/// Reads all of it as text.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    if source.take(LARGEST + 1).read_to_string(&mut text)? as u64 > LARGEST {
        return Err(io::Error::other(format!("larger than {}", term::bytes(LARGEST))));
    }
    Ok(text)
}
