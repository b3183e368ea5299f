//! The real command: `zumik serve` as a process of its own.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

/// The `zumik` command beside the running test. `cargo test --workspace` builds it; when it is missing (one package was
/// tested alone), it is built now.
pub fn zumik() -> PathBuf {
    let test = env::current_exe().expect("the path of the running test");
    let folder = test.ancestors().nth(2).expect("a test is in target/PROFILE/deps");
    let zumik = folder.join(format!("zumik{}", env::consts::EXE_SUFFIX));
    if !zumik.exists() {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = folder.parent().expect("a profile's folder is in the target folder");
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--package", "zumik-cli", "--bin", "zumik", "--target-dir"])
            .arg(target)
            .status()
            .expect("cargo starts");
        assert!(status.success(), "the zumik command does not build");
    }
    zumik
}

/// Runs a `zumik` command to its end and reads the JSON that it prints.
pub fn run<S: AsRef<OsStr>>(zumik: &Path, arguments: impl IntoIterator<Item = S>) -> Value {
    let output = Command::new(zumik).args(arguments).stderr(Stdio::inherit()).output().expect("zumik starts");
    assert!(output.status.success(), "zumik failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("zumik prints JSON")
}

/// A running `zumik serve` on a free port. It is killed when dropped.
#[derive(Debug)]
pub struct ServeProcess {
    child: Child,
    /// Base URL.
    pub url: String,
    /// The key that it printed; empty when the folder had one already.
    pub api_key: String,
    /// Where its metrics are; empty unless it was started with them.
    pub metrics: String,
}

impl ServeProcess {
    /// Starts a server on a data folder and waits until it takes requests.
    pub fn start(zumik: &Path, data: &Path) -> Self {
        Self::spawn(Command::new(zumik).args(["serve", "--log-level", "error", "--data"]).arg(data))
    }

    /// The same, with its state in a database. It logs nothing: where the database is taken away, that would be much.
    pub fn start_on(zumik: &Path, data: &Path, store: &str) -> Self {
        let mut command = Command::new(zumik);
        command.args(["serve", "--log-level", "off", "--data"]).arg(data);
        Self::spawn(command.env("ZUMIK_STORE", store))
    }

    /// The same with metrics, and with all that it can log in a file.
    pub fn start_logging(zumik: &Path, data: &Path, log: File) -> Self {
        let mut command = Command::new(zumik);
        command.args(["serve", "--log-level", "trace", "--metrics", "127.0.0.1:0", "--data"]).arg(data);
        Self::spawn(command.env("NO_COLOR", "1").stderr(log))
    }

    /// The same under a shim that records what becomes of its files.
    pub fn start_recorded(zumik: &Path, data: &Path, shim: &Path, trace: &Path) -> Self {
        let mut command = Command::new(zumik);
        command.args(["serve", "--log-level", "error", "--data"]).arg(data);
        command.env("LD_PRELOAD", shim).env("POWER_FOLDER", data).env("POWER_TRACE", trace);
        Self::spawn(&mut command)
    }

    /// The same with this key, under a shim that lets its files fail as `control` says; nothing when it ends instead.
    ///
    /// # Panics
    /// When it ends with a panic.
    pub fn start_failing(zumik: &Path, data: &Path, key: &str, shim: &Path, control: &Path) -> Option<Self> {
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut command = Command::new(zumik);
        command.args(["serve", "--log-level", "off", "--api-key", key, "--data"]).arg(data);
        command.env("LD_PRELOAD", shim).env("FAULT_FOLDER", data).env("FAULT_CONTROL", control);
        command.stderr(log.reopen().expect("the same file"));
        let started = Self::try_spawn(&mut command);
        let said = std::fs::read_to_string(log.path()).expect("what it said");
        assert!(!said.contains("panicked"), "{said}");
        if let Err(status) = &started {
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.starts_with("error: "), "{said}");
        }
        started.ok()
    }

    fn spawn(command: &mut Command) -> Self {
        Self::try_spawn(command).unwrap_or_else(|status| panic!("zumik serve ended: {status}"))
    }

    fn try_spawn(command: &mut Command) -> Result<Self, ExitStatus> {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("zumik serve starts");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let mut line = String::new();
        if BufReader::new(stdout).read_line(&mut line).expect("standard output") == 0 {
            return Err(child.wait().expect("zumik serve ends"));
        }
        let ready: Value = serde_json::from_str(&line).expect("the first line is JSON");
        let text = |member: &str| ready[member].as_str().unwrap_or_default().to_owned();
        Ok(Self { url: text("url"), api_key: text("api_key"), metrics: text("metrics"), child })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash does (SIGKILL), and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // A process that has ended by itself cannot be killed; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        self.end();
    }
}
