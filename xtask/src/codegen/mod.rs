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
#[cfg(test)]
mod tests;

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
    Err(format!("{difference}\nthe generated code is not up to date with {SPEC}: run `cargo xtask codegen`")
        .into())
}

fn read(root: &Path) -> Result<ir::Api> {
    let yaml = fs::read_to_string(root.join(SPEC)).map_err(|error| format!("{SPEC}: {error}"))?;
    let document = document::Document::parse(&yaml).map_err(|error| format!("{SPEC}{error}"))?;
    Ok(lower::lower(&document).map_err(|error| format!("{SPEC}{error}"))?)
}

fn generate(root: &Path) -> Result<output::Files> {
    let mut files = output::Files::new();
    for (path, code) in emit::emit(&read(root)?) {
        let text = output::format(root, code).map_err(|error| format!("{path}: {error}"))?;
        files.insert(path, text);
    }
    Ok(files)
}

/// The code of a document, as it is before it is formatted: for laws over any document.
///
/// # Errors
/// The place of the document that cannot become code, what is wrong there, and a way out.
pub fn generated(yaml: &str) -> std::result::Result<Vec<(String, String)>, String> {
    let refused = |error: error::SpecError| error.to_string();
    let document = document::Document::parse(yaml).map_err(refused)?;
    let sources = emit::emit(&lower::lower(&document).map_err(refused)?);
    Ok(sources.into_iter().map(|(path, code)| (path, code.to_string())).collect())
}

/// What other tasks want to know about an operation.
pub(crate) struct OperationFacts {
    /// The `operationId`.
    pub(crate) id: String,
    /// The constant of the operation table.
    pub(crate) constant: String,
    /// Method and path.
    pub(crate) route: String,
    /// Name of the method of the client.
    pub(crate) client_method: String,
    /// Method or path is our decision.
    pub(crate) is_inferred: bool,
    /// The document shows a request or a success of it, or the success is bytes.
    pub(crate) has_sample: bool,
}

/// Every operation of the document.
pub(crate) fn operations(root: &Path) -> Result<Vec<OperationFacts>> {
    let facts = |operation: ir::Operation| OperationFacts {
        constant: names::constant(&operation.id),
        route: format!("{} {}", operation.method, operation.path),
        has_sample: operation.answer.json().is_none()
            || operation.samples.iter().any(|sample| !sample.name.starts_with(lower::SHARED)),
        is_inferred: operation.inferred,
        client_method: operation.client_method,
        id: operation.id,
    };
    Ok(read(root)?.operations.into_iter().map(facts).collect())
}
