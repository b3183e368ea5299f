//! `zumik serve` as a process.

mod support;

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;
use support::{Serving, json, output, refused, stderr, stdout, zumik};
use zumik_client::ErrorKind;
use zumik_client::types::ArtifactType;

#[tokio::test]
async fn a_fresh_folder_gets_a_project_and_a_key_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep/zumik");
    let server = Serving::start(&data);
    assert!(server.url().starts_with("http://127.0.0.1:"), "{}", server.ready);
    assert!(server.key().starts_with("zk_live_") && server.key().len() == 40, "{}", server.ready);
    assert!(server.ready["project_id"].as_str().unwrap().starts_with("prj_"));
    assert_eq!(server.ready["data"], data.to_str().unwrap());

    let artifact =
        server.client(server.key()).artifacts().create(ArtifactType::Policy, "Be kind.").await.unwrap();
    assert_eq!(artifact.project_id.as_str(), server.ready["project_id"]);
}

#[tokio::test]
async fn a_second_start_has_no_key_to_tell_and_the_first_one_still_works() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Serving::start(folder.path());
    let key = first.key().to_owned();
    let made = first.client(&key).artifacts().create(ArtifactType::Policy, "Be kind.").await.unwrap();
    first.signal(Signal::TERM);
    let (status, rest) = first.wait();
    assert!(status.success(), "{status}");
    assert_eq!(rest, "", "--json prints one object and nothing more");

    let second = Serving::start(folder.path());
    assert!(second.ready["api_key"].is_null(), "{}", second.ready);
    assert_eq!(second.ready["project_id"], first.ready["project_id"]);
    assert_eq!(second.client(&key).artifacts().retrieve(&made.id).await.unwrap().id, made.id);
}

#[tokio::test]
async fn a_given_key_is_installed_and_told_again_at_every_start() {
    let folder = tempfile::tempdir().unwrap();
    let key = "zk_test_0123456789abcdef0123456789abcdef";
    for _ in 0..2 {
        let mut server = Serving::with(folder.path(), ["--api-key", key]);
        assert_eq!(server.key(), key);
        server.client(key).artifacts().list().await.unwrap();
        server.signal(Signal::INT);
        assert!(server.wait().0.success());
    }
    let other = Serving::with(folder.path(), ["--api-key", "zk_live_another-key_0123456789"]);
    other.client(key).artifacts().list().await.unwrap();
    other.client("zk_live_another-key_0123456789").artifacts().list().await.unwrap();
    let error = other.client("zk_live_nobody-knows-this-one").artifacts().list().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
}

#[test]
fn a_folder_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Serving::start(folder.path());
    let second = output(zumik(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path()));
    let said = refused(&second, 1);
    assert!(said.contains("another server") && said.contains("--data"), "{said}");
}

#[test]
fn a_port_in_use_is_refused_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let said = refused(&output(zumik(["serve", "--listen", &address, "--data"]).arg(folder.path())), 1);
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}

#[test]
fn a_malformed_key_is_refused_and_never_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for key in ["sk-live-123", "zk_live_", "zk_live_with space", "zk_live_ümlaut", ""] {
        let said = refused(
            &output(
                zumik(["serve", "--listen", "127.0.0.1:0", "--api-key", key, "--data"]).arg(folder.path()),
            ),
            2,
        );
        assert!(said.contains("zk_live_"), "{said}");
        assert!(key.is_empty() || key == "zk_live_" || !said.contains(key), "the key is in: {said}");
    }
}

#[test]
fn a_folder_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    let said = refused(&output(zumik(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&file)), 1);
    assert!(said.contains(file.to_str().unwrap()) && said.contains("--data"), "{said}");
    let said =
        refused(&output(zumik(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(file.join("below"))), 1);
    assert!(said.contains("--data"), "{said}");
    refused(&output(&mut zumik(["serve", "--data", ""])), 2);
}

#[test]
fn people_get_the_lines_to_paste() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = zumik(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    let stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    for line in std::io::BufRead::lines(stdout) {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains("export ZUMIK_API_KEY=") {
            break;
        }
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success());
    let text = lines.join("\n");
    assert!(text.contains("export ZUMIK_BASE_URL=http://127.0.0.1:"), "{text}");
    assert!(text.contains("export ZUMIK_API_KEY=zk_live_"), "{text}");
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe: {text}");
    assert!(!stderr(&ended).contains("zk_live_"), "no key in the log");
}

#[test]
fn help_and_version_are_results_and_wrong_usage_is_not() {
    for arguments in [["--help"].as_slice(), &["serve", "--help"], &["keys", "create", "-h"], &["--version"]]
    {
        let output = output(&mut zumik(arguments.iter().copied()));
        assert!(output.status.success());
        assert!(stdout(&output).contains("zumik"), "{}", stdout(&output));
        assert!(output.stderr.is_empty());
    }
    for arguments in
        [[].as_slice(), &["sevre"], &["serve", "--port", "1"], &["serve", "--listen", "8787"], &["keys"]]
    {
        let output = output(&mut zumik(arguments.iter().copied()));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    let said = refused(&output(&mut zumik(["keys", "list", "--log-level", "loud"])), 2);
    assert!(said.contains("loud"), "{said}");
}

#[test]
fn a_newer_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::start(folder.path());
    server.signal(Signal::TERM);
    server.wait();
    let _ = json;
}
