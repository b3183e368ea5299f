//! `zumik serve` and `zumik keys` on a PostgreSQL database.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;

use rustix::process::Signal;
use support::{Serving, json, output, refused, within, zumik};
use zumik_client::ErrorKind;
use zumik_client::types::ArtifactType;
use zumik_test_postgres::Postgres;

#[tokio::test]
async fn two_servers_on_one_database_are_one_server() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.database();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Serving::with(one.path(), ["--store", &url]);
    assert!(first.ready["store"].as_str().unwrap().starts_with("postgres://"), "{}", first.ready);
    assert!(!one.path().join("zumik.db").exists());
    let made = first.client(first.key()).artifacts().create(ArtifactType::Policy, "Be kind.").await.unwrap();

    // The second one needs the master key of the first.
    let refused_start =
        output(zumik(["serve", "--listen", "127.0.0.1:0", "--store", &url, "--data"]).arg(two.path()));
    let said = refused(&refused_start, 1);
    assert!(said.contains("ZUMIK_MASTER_KEY") && said.contains("master.key"), "{said}");
    fs::copy(one.path().join("master.key"), two.path().join("master.key")).unwrap();
    let mut second = Serving::with(two.path(), ["--store", &url]);
    assert!(second.ready["api_key"].is_null(), "{}", second.ready);
    assert_eq!(second.ready["project_id"], first.ready["project_id"]);
    let found = second.client(first.key()).artifacts().retrieve(&made.id).await.unwrap();
    assert_eq!(found.id, made.id);

    second.signal(Signal::TERM);
    assert!(second.wait().0.success());
    first.client(first.key()).artifacts().list().await.unwrap();
}

#[tokio::test]
async fn keys_of_a_database_are_made_and_revoked_while_a_server_runs() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.database();
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::with(folder.path(), ["--store", &url]);
    let keys = |more: &[&str]| {
        let mut command = zumik(["keys"]);
        command.args(more).args(["--store", &url, "--data"]).arg(folder.path());
        command
    };
    let key = json(keys(&["create", "--json"]).env("ZUMIK_LOG", "error"));
    let (id, secret) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    server.client(secret).artifacts().list().await.unwrap();
    let listed = json(&mut keys(&["list", "--json"]));
    assert!(listed["data"].as_array().unwrap().iter().any(|key| key["id"] == id), "{listed}");
    json(&mut keys(&["revoke", id, "--json"]));
    let refused = async {
        loop {
            match server.client(secret).artifacts().list().await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        }
    };
    let error = within("a revoked key that is refused", refused).await;
    assert_eq!(error.kind(), ErrorKind::Authentication);
}

#[test]
fn a_database_without_data_is_left_as_it_is_by_whoever_looks() {
    let Some(postgres) = Postgres::shared() else { return };
    let url = postgres.database();
    let (looking, serving) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Had the first one made anything, the second would find it.
    for command in [["keys", "list"].as_slice(), &["keys", "create"], &["keys", "list"]] {
        let mut command = zumik(command.iter().copied());
        let said = refused(&output(command.args(["--store", &url, "--data"]).arg(looking.path())), 1);
        assert!(said.contains("no data of a server") && said.contains("zumik serve"), "{said}");
    }
    assert_eq!(fs::read_dir(looking.path()).unwrap().count(), 0, "no master key is made");
    Serving::with(serving.path(), ["--store", &url]);
    let said = refused(&output(zumik(["keys", "list", "--store", &url, "--data"]).arg(looking.path())), 1);
    assert!(said.contains("ZUMIK_MASTER_KEY"), "{said}");
}

#[test]
fn a_database_that_cannot_be_used_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let start = |url: &str| {
        let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--data"]);
        output(command.arg(folder.path()).env("ZUMIK_STORE", url))
    };
    // Nobody listens in an empty folder.
    let nowhere = folder.path().display().to_string().replace('/', "%2F");
    let said = refused(&start(&format!("postgres://zumik:canary@{nowhere}/zumik")), 1);
    assert!(said.contains("postgres://zumik@") && !said.contains("canary"), "{said}");
    let said = refused(&start("postgres://zumik:canary"), 2);
    assert!(
        said.contains("postgres://USER:PASSWORD@HOST:PORT/DATABASE") && !said.contains("canary"),
        "{said}"
    );
}
