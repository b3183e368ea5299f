//! `cargo xtask test`: installs what the tests need, then runs `cargo test --workspace`.
//!
//! Everything but Rust is optional outside CI: a suite whose tools cannot be installed is left out, and said so. With
//! `CI=true` that is an error, so that a green run means that all of them ran.

mod node;
mod postgres;
mod python;

use crate::process::{Result, cargo, in_ci, run};

/// Runs every suite; `arguments` go to `cargo test --workspace`.
pub(crate) fn test(arguments: &[String]) -> Result {
    offer("conformance tests", python::prepare().and_then(|python| node::prepare(&python)))?;
    offer("tests on PostgreSQL", postgres::prepare())?;
    run(cargo().args(["test", "--workspace"]).args(arguments))
}

/// Says what is left out when its tools could not be prepared; in CI that is an error.
fn offer(tests: &str, prepared: Result) -> Result {
    let Err(reason) = prepared else { return Ok(()) };
    let message = format!("{tests} are left out: {reason}");
    if in_ci() {
        return Err(message.into());
    }
    eprintln!("{message}");
    Ok(())
}
