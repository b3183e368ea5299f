//! `zumik keys`, beside a running server.
#![cfg(unix)]

mod support;

use rustix::process::Signal;
use support::{Serving, json, output, refused, stderr, stdout, zumik};
use zumik_client::ErrorKind;
use zumik_client::types::ArtifactType;

#[tokio::test]
async fn a_key_made_beside_a_running_server_works_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path());
    let made = json(zumik(["keys", "create", "--json", "--data"]).arg(folder.path()));
    assert!(made["id"].as_str().unwrap().starts_with("key_"), "{made}");
    assert_eq!(made["project_id"], server.ready["project_id"], "the project of the first start");
    let client = server.client(made["key"].as_str().unwrap());
    client.artifacts().create(ArtifactType::Policy, "Be kind.").await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path());
    let made = json(zumik(["keys", "create", "--json", "--data"]).arg(folder.path()));
    let client = server.client(made["key"].as_str().unwrap());
    client.artifacts().list().await.unwrap();
    let id = made["id"].as_str().unwrap();
    for _ in 0..2 {
        let revoked = json(zumik(["keys", "revoke", id, "--json", "--data"]).arg(folder.path()));
        assert_eq!(revoked["status"], "revoked");
        assert_eq!(client.artifacts().list().await.unwrap_err().kind(), ErrorKind::Authentication);
    }
    server.client(server.key()).artifacts().list().await.unwrap();
}

#[tokio::test]
async fn a_project_that_does_not_exist_is_made_and_sees_nothing_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path());
    let secret =
        server.client(server.key()).artifacts().create(ArtifactType::Policy, "Secret.").await.unwrap();
    let mut create = zumik(["keys", "create", "--project", "ci", "--json", "--data"]);
    let first = json(create.arg(folder.path()));
    let again = json(&mut create);
    assert_ne!(first["project_id"], server.ready["project_id"]);
    assert_eq!(first["project_id"], again["project_id"], "the same name is the same project");
    assert_ne!(first["key"], again["key"]);
    let stranger = server.client(first["key"].as_str().unwrap());
    assert_eq!(stranger.artifacts().retrieve(&secret.id).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_key_may_do_what_its_scopes_allow() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path());
    let made = json(zumik(["keys", "create", "--scopes", "read", "--json", "--data"]).arg(folder.path()));
    assert_eq!(made["scopes"], serde_json::json!(["read"]));
    let reader = server.client(made["key"].as_str().unwrap());
    reader.artifacts().list().await.unwrap();
    let error = reader.artifacts().create(ArtifactType::Policy, "Be kind.").await.unwrap_err();
    assert_eq!(error.code(), Some("insufficient_scope"));
    let wrong = output(zumik(["keys", "create", "--scopes", "root", "--data"]).arg(folder.path()));
    assert_eq!(wrong.status.code(), Some(2));
    // As from a variable that is not set: it would make a project without a name.
    let long = "x".repeat(129);
    for (option, name, said) in [
        ("--project", "", "must not be blank"),
        ("--project", " ", "must not be blank"),
        ("--project", &*long, "at most 128 characters, and this one 129"),
        ("--name", &*long, "at most 128 characters, and this one 129"),
        ("--name", "a\nb", "control characters"),
    ] {
        let wrong = output(zumik(["keys", "create", option, name, "--data"]).arg(folder.path()));
        assert_eq!(wrong.status.code(), Some(2), "{option} {name:?}");
        assert!(stderr(&wrong).contains(said), "{option} {name:?}: {}", stderr(&wrong));
    }
}

#[test]
fn keys_work_without_a_server_and_the_list_never_shows_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serving::start(folder.path());
    server.signal(Signal::TERM);
    server.wait();
    let made = json(zumik(["keys", "create", "--name", "laptop", "--json", "--data"]).arg(folder.path()));
    let key = made["key"].as_str().unwrap();

    let list = json(zumik(["keys", "list", "--json", "--data"]).arg(folder.path()));
    assert_eq!(list["object"], "list");
    let names: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names[1], "laptop");
    assert!(!list.to_string().contains(key));

    let table = stdout(&output(zumik(["keys", "list", "--data"]).arg(folder.path())));
    assert!(table.contains("laptop") && table.contains(made["id"].as_str().unwrap()), "{table}");
    assert!(!table.contains(key), "{table}");
    let shown = stdout(&output(zumik(["keys", "create", "--data"]).arg(folder.path())));
    assert!(shown.contains("zk_live_"), "{shown}");
}

#[test]
fn a_folder_without_a_server_and_an_unknown_key_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    for command in [["keys", "list"].as_slice(), &["keys", "create"], &["keys", "revoke", "key_1"]] {
        let said = refused(&output(zumik(command.iter().copied()).arg("--data").arg(&nowhere)), 1);
        assert!(said.contains("zumik serve"), "{said}");
        assert!(!nowhere.exists(), "nothing is made by looking");
    }
    let _server = Serving::start(folder.path());
    let said = refused(&output(zumik(["keys", "revoke", "key_unknown", "--data"]).arg(folder.path())), 1);
    assert!(said.contains("key_unknown") && said.contains("keys list"), "{said}");
    let said = refused(&output(zumik(["keys", "revoke", "prj_1", "--data"]).arg(folder.path())), 2);
    assert!(said.contains("key_"), "{said}");
}
