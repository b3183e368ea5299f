//! Libraries that are loaded before the system's own (`LD_PRELOAD`), to stand between a server and its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles one into a folder.
pub(crate) fn build(folder: &Path, source: &str) -> PathBuf {
    let (file, library) = (folder.join("shim.c"), folder.join("shim.so"));
    fs::write(&file, source).expect("a file");
    fs::write(folder.join("preload.h"), include_str!("preload.h")).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &file]);
    let status = compiler.status().expect("cc, the compiler that Rust links with");
    assert!(status.success(), "the shim does not compile: {status}");
    library
}
