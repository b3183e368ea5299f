//! `zumik migrate`: what people read, and what is refused. `tests/system/migrate.rs` moves everything there and back.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use support::{Serving, json, output, refused, stderr, stdout, zumik};
use zumik_client::types::ArtifactType;
use zumik_test_postgres::Postgres;

fn migrate(from: &str, to: &str) -> std::process::Command {
    zumik(["migrate", "--from", from, "--to", to])
}

/// A data folder with an artifact in it; gives the key of its project.
async fn filled(data: &Path) -> String {
    let mut server = Serving::start(data);
    let key = server.key().to_owned();
    server.client(&key).artifacts().create(ArtifactType::Policy, "Be kind.").await.unwrap();
    server.signal(Signal::TERM);
    server.wait();
    key
}

#[tokio::test]
async fn people_read_what_was_moved_and_what_to_do_next() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.database();
    let root = tempfile::tempdir().unwrap();
    let (data, back) = (root.path().join("data"), root.path().join("back"));
    let key = filled(&data).await;
    fs::write(data.join("zumik.toml"), "metrics = '127.0.0.1:0'").unwrap();
    let said = output(&mut migrate(&format!("sqlite:{}", data.display()), &url));
    assert!(said.status.success(), "{}", stderr(&said));
    let said = stdout(&said);
    assert!(said.contains("moved and compared") && said.contains("1 artifact"), "{said}");
    assert!(said.contains("ZUMIK_MASTER_KEY") && said.contains("delete that in time"), "{said}");

    // The command that is shown serves it with the settings and the key of the folder.
    let start = said.lines().find_map(|line| line.trim_start().strip_prefix("start with")).unwrap();
    assert!(start.contains("ZUMIK_STORE='postgres://"), "{start}");
    let data_option = start.split_once(" zumik serve ").unwrap().1;
    assert_eq!(data_option, format!("--data {}", data.display()));
    let mut moved = Serving::with(&data, ["--store", &url]);
    assert!(moved.ready["metrics"].is_string() && moved.ready["api_key"].is_null(), "{}", moved.ready);
    moved.signal(Signal::TERM);
    moved.wait();

    // Back without the key, which no database holds, and then with it.
    let back_url = back.display().to_string();
    let said = refused(&output(&mut migrate(&url, &back_url)), 1);
    assert!(said.contains("--master-key-file") && !back.exists(), "{said}");
    let mut command = migrate(&url, &back_url);
    let said = output(command.arg("--master-key-file").arg(data.join("master.key")));
    assert!(stdout(&said).contains("in the folder"), "{}{}", stdout(&said), stderr(&said));
    let start = format!("zumik serve --data {}\n", back.display());
    assert!(stdout(&said).contains(&start), "{}", stdout(&said));
    let server = Serving::start(&back);
    assert!(server.ready["api_key"].is_null());
    assert_eq!(server.client(&key).artifacts().list().await.unwrap().data.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_moved_is_refused_with_the_way_out() {
    let root = tempfile::tempdir().unwrap();
    let (data, other) = (root.path().join("data"), root.path().join("other"));
    let [from, to] = [&data, &other].map(|path| path.display().to_string());
    filled(&data).await;
    fs::write(data.join("zumik.toml"), "drain_seconds = 7").unwrap();
    let link = root.path().join("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    for spelled in [from.clone(), format!("{from}/"), format!("{from}/../data"), link.display().to_string()] {
        let said = refused(&output(&mut migrate(&from, &spelled)), 2);
        assert!(said.contains("the same"), "{said}");
    }
    let inner = data.join("a/b");
    for (from, to) in [(&data, &inner), (&inner, &data), (&link, &inner), (&data, &link.join("a"))] {
        let [from, to] = [from, to].map(|path| path.display().to_string());
        let said = refused(&output(&mut migrate(&from, &to)), 2);
        assert!(said.contains("lies in") && !data.join("a").exists(), "{said}");
    }
    let said = refused(&output(&mut migrate(&from, "postgres://u:secret@127.0.0.1:1/x")), 1);
    assert!(said.contains("postgres://u@127.0.0.1:1/x") && !said.contains("secret"), "{said}");

    let said = refused(&output(&mut migrate(&to, &from)), 1);
    assert!(said.contains("no data of a server") && said.contains("--from"), "{said}");
    let running = Serving::start(&data);
    let said = refused(&output(&mut migrate(&from, &to)), 1);
    assert!(said.contains("in use") && said.contains("stop it first"), "{said}");
    drop(running);
    fs::create_dir(&other).unwrap();
    fs::write(other.join("notes"), "mine").unwrap();
    let said = refused(&output(&mut migrate(&from, &to)), 1);
    assert!(said.contains("not empty") && said.contains("nothing is overwritten"), "{said}");
    fs::remove_file(other.join("notes")).unwrap();
    let mut wrong = migrate(&from, &to);
    let said = refused(&output(wrong.env("ZUMIK_MASTER_KEY", "0".repeat(64))), 1);
    assert!(said.contains("not the master key"), "{said}");
    for url in ["mysql://zumik:canary@localhost/zumik", "postgres://zumik:canary", ""] {
        let said = refused(&output(&mut migrate(&from, url)), 2);
        assert!(said.contains("--to") && said.contains("postgres://") && !said.contains("canary"), "{said}");
    }
    // The folder is as empty as it was, and good for the next attempt.
    let moved = json(migrate(&from, &to).arg("--json"));
    assert!(moved["tables"].as_array().unwrap().iter().any(|table| table["rows"] == 1), "{moved}");
    assert_eq!(fs::read_to_string(other.join("zumik.toml")).unwrap(), "drain_seconds = 7");
}
