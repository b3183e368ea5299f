//! The real command, run as a user or a program would.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::expect_used, reason = "a test that cannot start its process has failed")]

pub(crate) mod scripted;
pub(crate) mod terminal;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use zumik_client::Zumik;

/// `zumik` with these arguments, without what the environment of the tests may set.
pub(crate) fn zumik<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zumik"));
    for (name, _) in std::env::vars_os() {
        if name == "METRICS_TOKEN" || name.to_string_lossy().starts_with("ZUMIK_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Waits for what must happen, so that a defect fails the test that it would hang: with `what`, after a minute.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect(what)
}

/// Runs a command to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("zumik starts")
}

/// Runs a command that must succeed, and gives the JSON that it prints.
pub(crate) fn json(command: &mut Command) -> Value {
    let output = output(command);
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON value on standard output")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Asserts that a command failed with this exit code and one line of explanation, and gives the line.
pub(crate) fn refused(output: &Output, code: i32) -> String {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "one line, but it was: {said}");
    assert!(said.starts_with("error: "), "{said}");
    assert!(output.stdout.is_empty(), "nothing on standard output, but it was: {}", stdout(output));
    said
}

/// A running `zumik serve --json` on a free port; killed when dropped.
pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The first line of its output.
    pub ready: Value,
}

impl Serving {
    /// Starts a server on a folder and waits until it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::with(data, [])
    }

    /// The same with more arguments.
    pub(crate) fn with<'a>(data: &Path, more: impl IntoIterator<Item = &'a str>) -> Self {
        Self::spawn(Self::command(data).args(more))
    }

    /// A server that takes so many milliseconds for each generation.
    pub(crate) fn slow(data: &Path, delay_ms: u32) -> Self {
        Self::spawn(Self::command(data).env("ZUMIK_PLACEHOLDER_DELAY_MS", delay_ms.to_string()))
    }

    /// A server that ignores SIGHUP from its start, as `nohup` has it.
    pub(crate) fn without_hangup(data: &Path) -> Self {
        let command = Self::command(data);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Self::spawn(shell.stdin(Stdio::null()))
    }

    fn command(data: &Path) -> Command {
        let mut command =
            zumik(["serve", "--listen", "127.0.0.1:0", "--json", "--log-level", "off", "--data"]);
        command.arg(data);
        command
    }

    /// Starts a command of its own, which must be `zumik serve --json`.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("zumik serve starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line).expect("the first line is JSON");
        Self { child, stdout, ready }
    }

    pub(crate) fn url(&self) -> &str {
        self.ready["url"].as_str().expect("a URL")
    }

    pub(crate) fn key(&self) -> &str {
        self.ready["api_key"].as_str().expect("a key")
    }

    /// A client with a key of this server.
    pub(crate) fn client(&self, key: &str) -> Zumik {
        Zumik::builder()
            .base_url(self.url())
            .api_key(key.to_owned())
            .max_retries(0)
            .build()
            .expect("a client")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the server runs");
    }

    /// Waits for the end; gives the exit status and what it printed after the first line.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("UTF-8");
        (self.child.wait().expect("the server ends"), rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
