//! API keys made by `zumik keys create` beside the running server, and killed with it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::http::Http;
use crate::process::run;

/// Keys that were shown, by id and secret.
#[derive(Debug, Default)]
pub(super) struct Keys {
    shown: Arc<Mutex<Vec<(String, String)>>>,
    /// Those that were checked to work; later they are only counted.
    checked: usize,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Makes keys until it is stopped.
    pub(super) fn make(&self, zumik: &Path, data: &Path) -> JoinHandle<()> {
        let (zumik, data, shown) = (zumik.to_owned(), data.to_owned(), Arc::clone(&self.shown));
        tokio::spawn(async move {
            while let Some(key) = create(zumik.clone(), data.clone()).await {
                shown.lock().unwrap_or_else(PoisonError::into_inner).push(key);
            }
        })
    }

    /// Kills the command that is running.
    pub(super) async fn stop(&self, making: JoinHandle<()>) {
        making.abort();
        match making.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => {}
        }
    }

    /// Every key that was shown is there and works; a killed command may have left one that nobody saw.
    pub(super) async fn check(&mut self, url: &str, zumik: &Path, data: &Path, kills: u64) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let list = ["keys", "list", "--json", "--data"]
            .map(std::ffi::OsStr::new)
            .into_iter()
            .chain([data.as_os_str()]);
        let listed = run(zumik, list);
        let listed: Vec<&str> =
            listed["data"].as_array().into_iter().flatten().filter_map(|key| key["id"].as_str()).collect();
        for (id, _) in &shown {
            let times = listed.iter().filter(|listed| *listed == id).count();
            assert_eq!(times, 1, "the key {id} was shown and is there {times} times");
        }
        // One that the first start made, and one at most for each kill.
        let unknown = listed.len() - shown.len();
        assert!(unknown as u64 <= 1 + kills, "{unknown} keys that nobody was shown");
        for (id, secret) in &shown[self.checked..] {
            let answer = Http::new(url, secret).get("/v2/artifacts").await;
            assert_eq!(answer.status, 200, "the key {id} was shown: {answer:?}");
        }
        self.checked = shown.len();
    }
}

async fn create(zumik: PathBuf, data: PathBuf) -> Option<(String, String)> {
    let mut command = Command::new(zumik);
    command
        .args(["keys", "create", "--json", "--data"])
        .arg(data)
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let output = command.output().await.ok()?;
    assert!(output.status.success(), "zumik keys create failed: {}", output.status);
    let key: Value = serde_json::from_slice(&output.stdout).expect("zumik prints JSON");
    let text = |member: &str| key[member].as_str().map(str::to_owned);
    text("id").zip(text("key"))
}
