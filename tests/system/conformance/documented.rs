//! The client that the documentation describes, in Python.

use super::{Served, passed, program, pytest};

#[test]
fn the_documented_python_client_works_against_the_server() {
    let Some(python) = program("python") else { return };
    let served = Served::alone();
    let mut command = pytest(&python, "documented");
    command.env("ZUMIK_BASE_URL", &served.server.url).env("ZUMIK_API_KEY", &served.server.api_key);
    command.env("ZUMIK_FOREIGN_API_KEY", served.key(&["--project", "stranger"]));
    command.env("ZUMIK_READ_API_KEY", served.key(&["--scopes", "read"]));
    let report = passed(command);
    assert!(!report.contains("skipped"), "with all four settings nothing may be skipped: {report}");
}
