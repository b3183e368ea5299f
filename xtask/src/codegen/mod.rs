//! `cargo xtask codegen`: from `openapi/zumik.yaml` to the generated code of `zumik-types` and `zumik-client`.
//!
//! [`document`] reads the file, [`lower`] turns it into the strict model of [`ir`], [`emit`] turns that into Rust, and
//! [`output`] formats and writes it. Two runs give the same bytes.

mod docs;
mod document;
mod emit;
mod error;
mod ir;
mod lower;
mod names;
mod output;

use std::fs;
use std::path::Path;

use crate::process::{Result, workspace};

const SPEC: &str = "openapi/zumik.yaml";

/// Writes the generated code; with `--check` only says whether the tree is up to date.
pub(crate) fn codegen(arguments: &[String]) -> Result {
    let root = workspace();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => output::write(root, &generate(root)?, emit::FOLDERS),
        ["--check"] => check(root),
        _ => Err("usage: cargo xtask codegen [--check]".into()),
    }
}

fn check(root: &Path) -> Result {
    let difference = output::difference(root, &generate(root)?, emit::FOLDERS)?;
    if difference.is_empty() {
        return Ok(());
    }
    Err(format!("{difference}\nthe generated code is not up to date with {SPEC}: run `cargo xtask codegen`").into())
}

fn generate(root: &Path) -> Result<output::Files> {
    let yaml = fs::read_to_string(root.join(SPEC)).map_err(|error| format!("{SPEC}: {error}"))?;
    let document = document::Document::parse(&yaml).map_err(|error| format!("{SPEC}{error}"))?;
    let api = lower::lower(&document).map_err(|error| format!("{SPEC}{error}"))?;
    let mut files = output::Files::new();
    for (path, code) in emit::emit(&api) {
        let text = output::format(root, code).map_err(|error| format!("{path}: {error}"))?;
        files.insert(path, text);
    }
    Ok(files)
}
