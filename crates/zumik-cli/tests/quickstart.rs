//! `zumik quickstart`: the tour as a process, over folders as they are out there.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot set its folder up has failed")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Serving, json, output, refused, stderr, stdout, zumik};

/// A folder with text in it.
fn documents() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    let write = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
    write("README.md", &"A small project about bridges.\n".repeat(40));
    write("docs/build.md", &"Run make, then wait.\n".repeat(40));
    write("docs/zebra.md", "The last document, to be purged.");
    folder
}

/// A folder for the temporary files of one run, to see what is left behind.
fn quickstart(folder: &Path, temporary: &Path) -> std::process::Command {
    let mut command = zumik(["quickstart"]);
    command.arg(folder).env("TMPDIR", temporary);
    command
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_tour_does_all_that_it_tells() {
    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let told = json(quickstart(folder.path(), temporary.path()).arg("--json"));
    assert_eq!(told["files"]["uploaded"], 3, "{told}");
    assert_eq!(told["files"]["skipped"], serde_json::json!([]));
    assert_eq!(told["embedded"], true);

    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number: {value}"));
    let conflict = &told["conflict"];
    assert_eq!(number(&conflict["current_version"]), number(&conflict["expected_version"]) + 1);
    assert_eq!(number(&conflict["resolved_as_sequence"]), number(&conflict["expected_version"]) + 2);
    assert_eq!(told["merge"]["strategy"], "rebase");
    assert_eq!(told["merge"]["appended"], 2);
    assert_eq!(number(&told["merge"]["version"]), number(&conflict["resolved_as_sequence"]) + 2);

    assert_eq!(told["generation"]["placeholder"], true);
    assert_eq!(told["generation"]["execution_mode"], "placeholder");
    assert_eq!(told["generation"]["qos_outcome"]["completion"], "completed");

    let flow = &told["diagnostic"]["waterfall"];
    assert!(number(&flow["candidate_reuse_tokens"]) > 0, "the turns share a prefix: {flow}");
    assert_eq!(number(&flow["realized_reused_tokens"]), 0, "no number is invented: {flow}");
    assert_eq!(flow["missed_opportunity_tokens"], flow["candidate_reuse_tokens"]);
    assert_eq!(told["diagnostic"]["traces"], 4);

    assert_eq!(told["purge"]["path"], "docs/zebra.md");
    assert_eq!(told["purge"]["verified"], true);
    assert_eq!(told["purge"]["guarantee"], "verified_namespace_invalidation");
    assert_eq!(told["purge"]["expires_at"], Value::Null);
    assert_eq!(told["purge"]["status_after"], 404);

    let calls = &told["calls"];
    assert!(number(&calls["calls"]) > 20, "{calls}");
    assert_eq!(calls["retries"], 0, "{calls}");
    assert!(number(&calls["bytes_sent"]) > number(&told["files"]["bytes"]), "{calls}");
    assert!(calls["p99_ms"].as_f64().unwrap() >= calls["median_ms"].as_f64().unwrap(), "{calls}");
    assert!(is_empty(temporary.path()), "the temporary folder of the server is gone");
}

#[test]
fn in_a_pipe_the_tour_is_plain_lines() {
    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let told = output(&mut quickstart(folder.path(), temporary.path()));
    assert!(told.status.success(), "{}", stderr(&told));
    assert!(told.stderr.is_empty(), "{}", stderr(&told));
    let text = stdout(&told);
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text}");
    for part in [
        "3 text files",
        "branch_version_conflict",
        "placeholder",
        "ZUMIK_BASE_URL",
        "candidate",
        "█",
        "of 100",
        "docs/zebra.md",
        "404",
        "p99",
    ] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    assert!(!text.contains("zk_live_"), "no key: {text}");
}

#[test]
fn hostile_files_are_reported_and_skipped() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let root = folder.path();
    fs::write(root.join("binary.bin"), b"\x89PNG\0\0\0").unwrap();
    fs::write(root.join("empty.txt"), b"").unwrap();
    fs::write(root.join("huge.log"), vec![b'x'; 5 * 1024 * 1024]).unwrap();
    fs::write(root.join("latin1.txt"), b"caf\xe9 au lait").unwrap();
    fs::write(root.join(OsStr::from_bytes(b"not-utf8-\xff.txt")), "a fine text in a strange file").unwrap();
    fs::write(root.join("evil\u{1b}[2J\nname.txt"), "").unwrap();
    fs::write(root.join("secret.txt"), "locked").unwrap();
    fs::set_permissions(root.join("secret.txt"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(root.join("loop")).unwrap();
    symlink(root, root.join("loop/again")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(root.join("pipe")).status();
    assert!(pipe.is_ok_and(|status| status.success()), "mkfifo is there");

    let told = json(quickstart(root, temporary.path()).arg("--json"));
    let skipped = told["files"]["skipped"].as_array().unwrap();
    let reason = |path: &str| {
        let entry = skipped.iter().find(|entry| entry["path"] == path);
        entry.map(|entry| entry["reason"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert_eq!(reason("binary.bin"), "not_text");
    assert_eq!(reason("empty.txt"), "empty");
    assert_eq!(reason("huge.log"), "too_large");
    assert_eq!(reason("latin1.txt"), "not_text");
    // Whoever runs the tests as root can read everything.
    let readable = fs::read(root.join("secret.txt")).is_ok();
    assert_eq!(reason("secret.txt"), if readable { "" } else { "unreadable" });
    let strange_name = 1;
    assert_eq!(told["files"]["uploaded"], 3 + strange_name + usize::from(readable), "{told}");

    let shown = output(quickstart(root, temporary.path()).env("CLICOLOR_FORCE", "1"));
    let text = stdout(&shown);
    assert!(text.contains("empty.txt") && text.contains("huge.log"), "{text}");
    assert!(text.contains("evil\\u{1b}[2J name.txt"), "{text}");
    assert!(
        text.contains("\u{1b}[1m") && !text.contains("\u{1b}[2J"),
        "a name cannot steer the terminal: {text}"
    );
}

#[test]
fn a_folder_without_text_is_one_clear_line() {
    let (folder, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let said = refused(&output(&mut quickstart(folder.path(), temporary.path())), 1);
    assert!(said.contains("no text file"), "{said}");
    let said = refused(&output(&mut quickstart(&folder.path().join("nowhere"), temporary.path())), 1);
    assert!(said.contains("nowhere"), "{said}");
    assert!(is_empty(temporary.path()));
}

#[tokio::test]
async fn a_server_of_the_environment_is_used_and_left_as_it_was() {
    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let data = tempfile::tempdir().unwrap();
    let server = Serving::start(data.path());
    let mut command = quickstart(folder.path(), temporary.path());
    command.arg("--json").env("ZUMIK_BASE_URL", server.url()).env("ZUMIK_API_KEY", server.key());
    let told = json(&mut command);
    assert_eq!(told["embedded"], false);
    assert_eq!(told["url"], server.url());
    let left = server.client(server.key()).artifacts().list().await.unwrap();
    assert!(left.data.is_empty(), "{left:?}");
}

#[test]
fn a_wrong_key_and_a_server_that_is_not_there_are_one_clear_line() {
    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let data = tempfile::tempdir().unwrap();
    let server = Serving::start(data.path());
    let against = |url: &str, key: &str| {
        output(
            quickstart(folder.path(), temporary.path())
                .env("ZUMIK_BASE_URL", url)
                .env("ZUMIK_API_KEY", key)
                .arg("--json"),
        )
    };
    let said = refused(&against(server.url(), "zk_live_00000000000000000000000000000000"), 1);
    assert!(said.contains("401"), "{said}");
    let url = server.url().to_owned();
    drop(server);
    let said = refused(&against(&url, "zk_live_00000000000000000000000000000000"), 1);
    assert!(said.contains("/v2/"), "{said}");
    let said = refused(&output(quickstart(folder.path(), temporary.path()).env("ZUMIK_BASE_URL", &url)), 2);
    assert!(said.contains("ZUMIK_API_KEY"), "{said}");
}

#[test]
fn interrupted_it_leaves_nothing_behind() {
    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let mut child = quickstart(folder.path(), temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line comes when the server is there.
    let mut first = String::new();
    let mut told = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut told, &mut first).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    std::io::Read::read_to_string(&mut told, &mut String::new()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", stderr(&ended));
    assert_eq!(stderr(&ended).trim(), "interrupted");
    assert!(is_empty(temporary.path()));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let mut child = quickstart(folder.path(), temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}: {}", ended.status, stderr(&ended));
    assert!(ended.stderr.is_empty(), "{}", stderr(&ended));
    assert!(is_empty(temporary.path()));
}

#[test]
fn with_an_upstream_its_model_answers() {
    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let provider_data = tempfile::tempdir().unwrap();
    let provider = Serving::start(provider_data.path());
    let url = format!("{}/v1", provider.url());
    let mut command = quickstart(folder.path(), temporary.path());
    command.args(["--json", "--upstream", &url, "--upstream-key-env", "PROVIDER_KEY"]);
    let told = json(command.args(["--upstream-models", "code.best"]).env("PROVIDER_KEY", provider.key()));
    assert_eq!(told["embedded"], true);
    assert_eq!(told["generation"]["execution_mode"], "live", "{told}");
    assert_eq!(told["generation"]["placeholder"], false);
    assert_eq!(told["purge"]["guarantee"], "expiry_bound", "the model's cache has to expire: {told}");
    assert!(told["purge"]["expires_at"].is_string(), "{told}");
    assert!(is_empty(temporary.path()));
}

#[test]
fn an_upstream_that_cannot_be_used_is_told() {
    let (folder, temporary) = (documents(), tempfile::tempdir().unwrap());
    let mut command = quickstart(folder.path(), temporary.path());
    let said = refused(&output(command.args(["--upstream", "no url"])), 2);
    assert!(said.contains("--upstream") && said.contains("http://host:port/v1"), "{said}");
    assert!(is_empty(temporary.path()));
}
