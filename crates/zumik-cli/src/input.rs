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
    let mut bytes = Vec::new();
    if source.take(LARGEST + 1).read_to_end(&mut bytes)? as u64 > LARGEST {
        return Err(io::Error::other(format!("larger than {}", term::bytes(LARGEST))));
    }
    String::from_utf8(bytes).map_err(|error| {
        let text = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + text.iter().filter(|byte| **byte == b'\n').count();
        io::Error::other(format!("line {line} is not UTF-8 text"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_text_is_refused_with_the_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"one\ntwo \xc3\xbc\nthree \xff\nfour\n").unwrap();
        assert_eq!(read(file.path()).unwrap_err().to_string(), "line 3 is not UTF-8 text");
        std::fs::write(file.path(), "one\ntwo ü\n").unwrap();
        assert_eq!(read(file.path()).unwrap(), "one\ntwo ü\n");
    }
}
