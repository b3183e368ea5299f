//! The command on a terminal, which `script` of util-linux makes.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Terminal {
    child: Child,
    /// Open as long as the terminal is: `script` takes its end for a key of its own, which the command may not live to get.
    keyboard: ChildStdin,
    shown: Arc<(Mutex<String>, Condvar)>,
    /// What has been waited for already.
    seen: usize,
}

impl Terminal {
    /// Runs a command, given as a line for the shell, in the environment of `like`.
    pub(crate) fn run(line: &str, like: &Command) -> Self {
        let mut script = Command::new("script");
        // In place of the shell, which some shells leave to the command anyway: one that stays is sent Ctrl-C as well,
        // and may answer with a status of its own.
        let line = format!("exec {line}");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        for (name, value) in like.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.env("TERM", "xterm").env_remove("NO_COLOR").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("script of util-linux is installed");
        let keyboard = child.stdin.take().expect("a pipe");
        let mut output = child.stdout.take().expect("a pipe");
        let shown: Arc<(Mutex<String>, Condvar)> = Arc::default();
        let told = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                let (text, grown) = &*told;
                text.lock().expect("not poisoned").push_str(&String::from_utf8_lossy(&bytes[..read]));
                grown.notify_all();
            }
        });
        Self { child, keyboard, shown, seen: 0 }
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        let typed = self.keyboard.write_all(keys.as_bytes()).and_then(|()| self.keyboard.flush());
        typed.expect("the terminal listens");
    }

    /// Waits until this is shown, after all that was waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let (shown, grown) = &*self.shown;
        let guard = shown.lock().expect("not poisoned");
        let from = self.seen;
        let (guard, timeout) = grown
            .wait_timeout_while(guard, PATIENCE, |shown| !shown[from..].contains(text))
            .expect("not poisoned");
        assert!(!timeout.timed_out(), "{text:?} was not shown after: {:?}", &guard[from..]);
        self.seen += guard[from..].find(text).unwrap_or(0) + text.len();
    }

    /// All that was shown.
    pub(crate) fn shown(&self) -> String {
        self.shown.0.lock().expect("not poisoned").clone()
    }

    /// Waits until the command has ended, and well.
    pub(crate) fn wait_for_success(&mut self) {
        let status = self.child.wait().expect("the command ends");
        assert!(status.success(), "{status} after: {:?}", self.shown());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
