//! `zumik serve` as a process.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::{Serving, json, output, refused, stderr, stdout, within, zumik};
use tokio::task::JoinHandle;
use zumik_client::types::{ArtifactType, NativeResponse};
use zumik_client::{ErrorKind, Zumik};

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

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_was_started_to_outlive_its_terminal_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::without_hangup(folder.path());
    server.signal(Signal::HUP);
    for _ in 0..10 {
        server.client(server.key()).artifacts().list().await.unwrap();
    }
    server.signal(Signal::TERM);
    assert!(server.wait().0.success(), "one signal stops it in order, two at once");
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
fn a_key_that_was_revoked_is_refused_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let key = "zk_test_0123456789abcdef0123456789abcdef";
    let mut server = Serving::with(folder.path(), ["--api-key", key]);
    server.signal(Signal::TERM);
    server.wait();
    let id = revoke_all(folder.path()).remove(0);
    let start = || {
        let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--api-key", key, "--data"]);
        output(command.arg(folder.path()))
    };
    let said = refused(&start(), 1);
    assert!(said.contains(&id) && said.contains("revoked") && !said.contains(key), "{said}");
    assert_eq!(said.matches("give another one, or none").count(), 1, "{said}");
    refused(&start(), 1);
}

#[test]
fn a_project_whose_keys_are_all_revoked_gets_none_by_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::start(folder.path());
    server.signal(Signal::TERM);
    server.wait();
    revoke_all(folder.path());
    let server = Serving::start(folder.path());
    assert!(server.ready["api_key"].is_null(), "{}", server.ready);
    let keys = json(zumik(["keys", "list", "--json", "--data"]).arg(folder.path()));
    assert_eq!(keys["data"].as_array().unwrap().len(), 1, "{keys}");
}

/// Revokes every key of a folder; gives their ids.
fn revoke_all(folder: &Path) -> Vec<String> {
    let keys = json(zumik(["keys", "list", "--json", "--data"]).arg(folder));
    let ids = keys["data"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned());
    let ids: Vec<_> = ids.collect();
    for id in &ids {
        json(zumik(["keys", "revoke", id, "--json", "--data"]).arg(folder));
    }
    ids
}

#[test]
fn a_server_that_waits_for_its_database_can_be_stopped() {
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = database.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--json", "--data"]);
        command.arg(folder.path()).env(
            "ZUMIK_STORE",
            // It would wait for longer than any test does.
            format!("postgres://zumik@127.0.0.1:{port}/zumik?sslmode=disable&connect_timeout=600"),
        );
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It is asked, and says nothing.
        let _silent = database.accept().unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{}", stderr(&ended));
        assert!(ended.stdout.is_empty(), "{}", stdout(&ended));
    }
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
    assert_eq!(output(&mut zumik(["serve", "--data", ""])).status.code(), Some(2));
}

#[test]
fn people_get_the_lines_to_paste() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = zumik(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    for line in BufRead::lines(stdout) {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains("export ZUMIK_API_KEY=") {
            break;
        }
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
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
fn a_database_of_a_newer_version_or_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::start(folder.path());
    server.signal(Signal::TERM);
    server.wait();

    // The schema version is the four bytes at 60 of an SQLite file.
    let database = folder.path().join("zumik.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    fs::write(&database, bytes).unwrap();
    for command in [["serve", "--listen", "127.0.0.1:0"].as_slice(), &["keys", "list"]] {
        let said = refused(&output(zumik(command.iter().copied()).arg("--data").arg(folder.path())), 1);
        assert!(said.contains("9999") && said.contains("newer"), "{said}");
    }

    fs::write(&database, "not a database at all, but long enough to have a header").unwrap();
    let said = refused(&output(zumik(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path())), 1);
    assert!(said.contains("--data"), "{said}");
}

#[test]
fn a_lost_master_key_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::start(folder.path());
    server.signal(Signal::TERM);
    server.wait();
    let start = |key: &str| {
        let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--data"]);
        output(command.arg(folder.path()).env("ZUMIK_MASTER_KEY", key))
    };
    let said = refused(&start(&"ab".repeat(32)), 1);
    assert!(said.contains("ZUMIK_MASTER_KEY"), "{said}");
    let said = refused(&start("too short"), 2);
    assert!(said.contains("64") && !said.contains("too short"), "{said}");
}

#[tokio::test]
async fn a_running_request_is_finished_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::slow(folder.path(), 700);
    let client = server.client(server.key());
    let running = in_flight(&client).await;
    server.signal(Signal::TERM);
    let answer = running.await.unwrap().unwrap();
    assert!(answer.output_text.is_some_and(|text| text.starts_with("[placeholder]")));
    assert_eq!(server.wait().0.code(), Some(0));
}

#[tokio::test]
async fn asked_twice_the_server_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::slow(folder.path(), 600_000);
    let client = server.client(server.key());
    let running = in_flight(&client).await;
    server.signal(Signal::INT);
    // The first request to stop has come when new requests are refused.
    let stopping = async { while client.artifacts().list().await.is_ok() {} };
    within("a server that refuses new requests", stopping).await;
    server.signal(Signal::INT);
    assert_eq!(server.wait().0.code(), Some(130));
    assert!(running.await.unwrap().is_err());
}

/// A generation that is being worked on: of two with the same key, one runs and the other is told so.
async fn in_flight(client: &Zumik) -> JoinHandle<zumik_client::Result<NativeResponse>> {
    let generate = |client: Zumik| async move {
        client.responses().create("code.fast", "Wait for me.").idempotency_key("the-same").await
    };
    let mut one = tokio::spawn(generate(client.clone()));
    let mut other = tokio::spawn(generate(client.clone()));
    let (told, running) = tokio::select! {
        told = &mut one => (told, other),
        told = &mut other => (told, one),
    };
    assert_eq!(told.unwrap().unwrap_err().kind(), ErrorKind::KeyInFlight);
    running
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::with(folder.path(), ["--metrics", "127.0.0.1:0"]);
    let metrics = server.ready["metrics"].as_str().unwrap();
    let address = metrics.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics")).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("# EOF"), "{page}");
}

#[test]
fn the_file_in_the_folder_sets_what_nobody_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("zumik.toml"), "metrics = '127.0.0.1:0'").unwrap();
    let server = Serving::start(folder.path());
    assert!(server.ready["metrics"].is_string(), "{}", server.ready);
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("zumik.toml"), "metrix = 1").unwrap();
    let said = refused(&output(zumik(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(broken.path())), 2);
    assert!(said.contains("zumik.toml") && said.contains("metrix"), "{said}");
}

#[test]
fn an_empty_variable_counts_as_one_that_is_not_set() {
    let empty = |command: &mut Command| {
        command.envs(VARIABLES.iter().map(|name| (name, "")));
        // Where the data is when nothing says where.
        command.env("XDG_DATA_HOME", "/nowhere").env("HOME", "/nowhere");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut serve = zumik(["serve", "--listen", "127.0.0.1:0", "--json", "--data"]);
    empty(serve.arg(folder.path()));
    let server = Serving::spawn(&mut serve);
    assert!(server.ready["metrics"].is_null(), "{}", server.ready);
    assert!(server.ready["store"].is_null(), "{}", server.ready);
    let mut keys = zumik(["keys", "list", "--json"]);
    empty(&mut keys);
    let said = refused(&output(&mut keys), 1);
    assert!(said.contains("/nowhere") && said.contains("is no data folder"), "{said}");
    let mut migrate = zumik(["migrate", "--from", "a"]);
    empty(&mut migrate);
    let said = output(&mut migrate);
    assert!(said.status.code() == Some(2) && stderr(&said).contains("--to <URL>"), "{}", stderr(&said));
}

/// Every variable that settings are read from.
const VARIABLES: &[&str] = &[
    "METRICS_TOKEN",
    "ZUMIK_BASE_URL",
    "ZUMIK_BATCH_LINES",
    "ZUMIK_CONCURRENT_STREAMS",
    "ZUMIK_CONNECTIONS",
    "ZUMIK_DATA",
    "ZUMIK_DRAIN_SECONDS",
    "ZUMIK_LISTEN",
    "ZUMIK_LOG",
    "ZUMIK_LOG_FORMAT",
    "ZUMIK_MASTER_KEY",
    "ZUMIK_METRICS",
    "ZUMIK_MIGRATE_FROM",
    "ZUMIK_MIGRATE_TO",
    "ZUMIK_PLACEHOLDER_DELAY_MS",
    "ZUMIK_PURGE_JOBS_PER_MINUTE",
    "ZUMIK_REQUESTS_PER_MINUTE",
    "ZUMIK_STORE",
    "ZUMIK_STORE_CONNECTIONS",
    "ZUMIK_TOKENS_PER_MINUTE",
    "ZUMIK_UPSTREAM",
    "ZUMIK_UPSTREAM_CACHE_SECONDS",
    "ZUMIK_UPSTREAM_KEY_ENV",
    "ZUMIK_UPSTREAM_MODELS",
    "ZUMIK_UPSTREAM_REGION",
    "ZUMIK_USAGE_DAYS",
];

#[test]
fn a_host_is_named_in_the_same_way_by_option_variable_and_file() {
    for by in ["option", "variable", "file"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = zumik(["serve", "--json", "--log-level", "off", "--data"]);
        command.arg(folder.path());
        match by {
            "option" => command.args(["--listen", "localhost:0"]),
            "variable" => command.env("ZUMIK_LISTEN", "localhost:0"),
            _ => {
                fs::write(folder.path().join("zumik.toml"), "listen = 'localhost:0'").unwrap();
                &mut command
            }
        };
        let server = Serving::spawn(&mut command);
        let host = server.url().trim_start_matches("http://");
        assert!(host.starts_with("127.0.0.1:") || host.starts_with("[::1]:"), "{by}: {host}");
    }
}

#[test]
fn the_keys_of_a_folder_can_be_seen_whatever_else_is_set() {
    let folder = tempfile::tempdir().unwrap();
    Serving::start(folder.path());
    let mut command = zumik(["keys", "list", "--json", "--data"]);
    let keys = json(command.arg(folder.path()).env("ZUMIK_LISTEN", "here").env("ZUMIK_CONNECTIONS", "many"));
    assert_eq!(keys["object"], "list");
}

#[test]
fn a_key_in_the_place_of_its_name_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1/v1"]);
    command.args(["--upstream-key-env", "sk-canary", "--data"]).arg(folder.path());
    let said = refused(&output(&mut command), 2);
    assert!(said.contains("not the key itself") && !said.contains("canary"), "{said}");
}

#[test]
fn the_key_of_a_provider_goes_to_no_other() {
    let provider = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", provider.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    // A server asks its providers for their models when it starts.
    let asked = |environment: &[(&str, &str)]| {
        let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--json", "--log-level", "off"]);
        command.args(["--upstream", &url, "--data"]).arg(folder.path());
        command.env("OPENAI_API_KEY", "sk-canary").envs(environment.iter().copied());
        let _server = Serving::spawn(&mut command);
        let mut head = String::new();
        let mut lines = BufReader::new(provider.accept().unwrap().0);
        while lines.read_line(&mut head).unwrap() > 2 {}
        head.to_lowercase()
    };
    let key = ("ZUMIK_UPSTREAM_KEY_ENV", "OPENAI_API_KEY");
    let head = asked(&[("ZUMIK_UPSTREAM", "https://api.openai.com/v1"), key]);
    assert!(!head.contains("authorization") && !head.contains("canary"), "{head}");
    let head = asked(&[key]);
    assert!(head.contains("authorization: bearer sk-canary"), "no other is named: {head}");
}

#[tokio::test]
async fn the_log_names_the_provider_that_failed_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--json", "--data"]);
    command.arg(folder.path().join("data")).stderr(fs::File::create(&log).unwrap());
    // Nobody can listen on port 0.
    let mut server = Serving::spawn(command.args([
        "--upstream",
        "http://127.0.0.1:0/v1",
        "--upstream-models",
        "model-canary",
    ]));
    let client = server.client(server.key());
    let error = client.v1().chat().completions().create("auto", ["prompt-canary"]).await.unwrap_err();
    assert_eq!(error.code(), Some("provider_error"));
    server.signal(Signal::TERM);
    server.wait();
    let log = fs::read_to_string(log).unwrap();
    let failed = log.lines().find(|line| line.contains("an attempt failed")).unwrap_or_default();
    assert!(failed.contains("provider=\"upstream\"") && failed.contains("cannot be reached: "), "{log}");
    assert!(!log.contains("canary"), "{log}");
}
