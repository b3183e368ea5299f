//! `cargo xtask test`: installs what the tests need below the target folder, then runs `cargo test --workspace`.
//!
//! Everything but Rust is optional outside CI: a suite whose tools cannot be installed is left out, and said so. With
//! `CI=true` that is an error, so that a green run means that all of them ran.

mod node;
mod python;

use crate::process::{Result, cargo, in_ci, run};

/// Runs every suite; `arguments` go to `cargo test --workspace`.
pub(crate) fn test(arguments: &[String]) -> Result {
    if let Err(reason) = python::prepare().and_then(|python| node::prepare(&python)) {
        let message = format!("conformance tests are left out: {reason}");
        if in_ci() {
            return Err(message.into());
        }
        eprintln!("{message}");
    }
    run(cargo().args(["test", "--workspace"]).args(arguments))
}
