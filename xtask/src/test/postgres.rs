//! PostgreSQL for the tests that need one.

use crate::process::{Result, command, run, workspace};

/// Installs Debian's package when there is none.
pub(super) fn prepare() -> Result {
    run(&mut command(workspace().join("tests/postgres/install")))
}
