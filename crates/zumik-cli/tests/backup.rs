//! `zumik backup` and `zumik restore`, beside a server and without one.
#![cfg(unix)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use rustix::process::Signal;
use support::{Serving, json, output, refused, stderr, stdout, within, zumik};
use tokio::sync::watch;
use zumik_client::FilePart;
use zumik_client::types::{Artifact, ArtifactType};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// `zumik` with these arguments, a folder as the next one, and the data folder that it is about.
fn about(arguments: &[&str], folder: &Path, data: &Path) -> std::process::Command {
    let mut command = zumik(arguments.iter().copied());
    command.arg(folder).arg("--data").arg(data);
    command
}

#[tokio::test]
async fn a_backup_under_load_restores_to_a_server_that_gives_the_same_answers() {
    let root = tempfile::tempdir().unwrap();
    let (data, backup, restored) =
        (root.path().join("data"), root.path().join("backup"), root.path().join("restored"));
    let server = Serving::start(&data);
    let key = server.key().to_owned();
    let client = server.client(&key);
    let text = FilePart::bytes("lines.jsonl", "a file of 64 KiB\n".repeat(4096));
    let uploaded = client.v1().files().upload(text).await.unwrap();

    // Writers that go on during the backup, until they are told to end.
    let (end, ended) = watch::channel(false);
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (client, ended) = (client.clone(), ended.clone());
        writers.push(tokio::spawn(async move {
            let mut made = Vec::new();
            while !*ended.borrow() {
                let text = format!("document {} of writer {writer}", made.len());
                made.push(client.artifacts().create(ArtifactType::Document, text).await.unwrap());
            }
            made
        }));
    }
    let written = async {
        loop {
            let made = client.artifacts().list().await.unwrap().data;
            if made.len() >= 40 {
                return made;
            }
        }
    };
    let before = within("forty artifacts of the writers", written).await;
    let manifest = {
        let mut command = about(&["backup", "--with-master-key", "--json"], &backup, &data);
        tokio::task::spawn_blocking(move || json(&mut command)).await.unwrap()
    };
    end.send(true).unwrap();
    let mut acknowledged: HashMap<String, Artifact> = HashMap::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap().into_iter().map(|made| (made.id.to_string(), made)));
    }
    assert!(before.len() < acknowledged.len(), "writers went on");
    drop(server);

    json(&mut about(&["restore", "--json"], &backup, &restored));
    let server = Serving::start(&restored);
    assert!(server.ready["api_key"].is_null(), "the key of the first start is known");
    let client = server.client(&key);
    let found = client.artifacts().list().await.unwrap().data;
    for artifact in &before {
        assert!(found.contains(artifact), "{} was acknowledged before the backup", artifact.id);
    }
    for artifact in &found {
        assert_eq!(acknowledged.get(artifact.id.as_str()), Some(artifact));
    }
    assert_eq!(manifest["rows"]["artifacts"], found.len());
    let content = client.v1().files().content(&uploaded.id).await.unwrap();
    assert_eq!(content[..], *"a file of 64 KiB\n".repeat(4096).as_bytes());
}

#[test]
fn people_read_what_was_done_and_what_to_keep_apart() {
    let root = tempfile::tempdir().unwrap();
    let (data, backup, restored) =
        (root.path().join("data"), root.path().join("backup"), root.path().join("restored"));
    let _server = Serving::start(&data);
    let said = output(&mut about(&["backup"], &backup, &data));
    assert!(said.status.success(), "{}", stderr(&said));
    assert!(stdout(&said).contains("keep it apart"), "{}", stdout(&said));
    assert!(!backup.join("master.key").exists());

    let said = stdout(&output(zumik(["restore", "--check"]).arg(&backup)));
    assert!(said.contains("sound") && said.contains("was not checked"), "{said}");
    let refused_without = refused(&output(&mut about(&["restore"], &backup, &restored)), 1);
    assert!(refused_without.contains("--master-key-file"), "{refused_without}");
    assert!(!restored.exists());
    let key = data.join("master.key");
    let mut command = about(&["restore"], &backup, &restored);
    let said = output(command.arg("--master-key-file").arg(&key));
    assert!(said.status.success(), "{}", stderr(&said));
    assert!(stdout(&said).contains("repeat those purges"), "{}", stdout(&said));
    assert!(stdout(&said).contains("revoke those keys"), "{}", stdout(&said));
    assert_eq!(fs::read(restored.join("master.key")).unwrap(), fs::read(key).unwrap());
}

#[test]
fn what_root_restores_into_the_folder_of_a_user_belongs_to_that_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (data, backup, restored) =
        (root.path().join("data"), root.path().join("backup"), root.path().join("restored"));
    fs::create_dir(&data).unwrap();
    fs::write(data.join("zumik.toml"), "drain_seconds = 7").unwrap();
    drop(Serving::start(&data));
    json(&mut about(&["backup", "--with-master-key", "--json"], &backup, &data));
    fs::create_dir(&restored).unwrap();
    chown(&restored, Some(4711), Some(4712)).unwrap();
    json(&mut about(&["restore", "--json"], &backup, &restored));
    let mut names = Vec::new();
    for entry in fs::read_dir(&restored).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (4711, 4712), "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["master.key", "server.lock", "zumik.db", "zumik.toml"]);
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_refused_with_the_way_out() {
    let root = tempfile::tempdir().unwrap();
    let (data, backup, restored) =
        (root.path().join("data"), root.path().join("backup"), root.path().join("restored"));
    let mut server = Serving::start(&data);
    json(&mut about(&["backup", "--with-master-key", "--json"], &backup, &data));

    let said = refused(&output(&mut about(&["backup"], &backup, &data)), 1);
    assert!(said.contains("not empty") && said.contains(backup.to_str().unwrap()), "{said}");
    let said = refused(&output(&mut about(&["restore"], &backup, &data)), 1);
    assert!(said.contains("a server is running") && said.contains("--data"), "{said}");
    server.signal(Signal::TERM);
    server.wait();
    let said = refused(&output(&mut about(&["restore"], &backup, &data)), 1);
    assert!(said.contains("not empty"), "{said}");
    let nowhere = root.path().join("nowhere");
    let said = refused(&output(&mut about(&["backup"], &restored, &nowhere)), 1);
    assert!(said.contains("no data folder") && !nowhere.exists() && !restored.exists(), "{said}");
    let said = refused(&output(&mut about(&["restore"], &data, &restored)), 1);
    assert!(said.contains("backup.json") && !restored.exists(), "{said}");
    let mut wrong = about(&["restore"], &backup, &restored);
    let said = refused(&output(wrong.env("ZUMIK_MASTER_KEY", KEY)), 1);
    assert!(said.contains("not the master key") && !said.contains(KEY), "{said}");

    let database = backup.join("zumik.db");
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&database, bytes).unwrap();
    for command in [["restore", "--check"].as_slice(), &["restore"]] {
        let mut command = match command.len() {
            2 => {
                let mut check = zumik(command.iter().copied());
                check.arg(&backup);
                check
            }
            _ => about(command, &backup, &restored),
        };
        let said = refused(&output(&mut command), 1);
        assert!(said.contains("SHA-256") && said.contains(database.to_str().unwrap()), "{said}");
        assert!(!restored.exists());
    }
}

#[test]
fn a_folder_sealed_from_the_environment_is_backed_up_and_restored_with_that_key() {
    let root = tempfile::tempdir().unwrap();
    let (data, backup, restored) =
        (root.path().join("data"), root.path().join("backup"), root.path().join("restored"));
    let serve = |data: &Path| {
        let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--json", "--log-level", "off"]);
        command.arg("--data").arg(data).env("ZUMIK_MASTER_KEY", KEY);
        Serving::spawn(&mut command)
    };
    let server = serve(&data);
    assert!(!data.join("master.key").exists());
    let said = refused(&output(&mut about(&["backup", "--with-master-key"], &backup, &data)), 1);
    assert!(said.contains("ZUMIK_MASTER_KEY") && !backup.exists(), "{said}");
    json(&mut about(&["backup", "--json"], &backup, &data));
    json(about(&["restore", "--json"], &backup, &restored).env("ZUMIK_MASTER_KEY", KEY));
    assert!(!restored.join("master.key").exists());
    let again = serve(&restored);
    assert_eq!(again.ready["project_id"], server.ready["project_id"]);
    drop(again);
    let mut command = zumik(["serve", "--listen", "127.0.0.1:0", "--data"]);
    let said = refused(&output(command.arg(&restored)), 1);
    assert!(said.contains("no master key") && said.contains("ZUMIK_MASTER_KEY"), "{said}");
}

#[test]
fn a_folder_whose_server_keeps_everything_in_a_database_is_no_data_to_back_up() {
    let root = tempfile::tempdir().unwrap();
    let (data, backup) = (root.path().join("data"), root.path().join("backup"));
    drop(Serving::start(&data));
    let url = "postgres://zumik:secret@db.example.com/zumik";
    let check = |command: &mut std::process::Command| {
        let said = refused(&output(command), 1);
        assert!(said.contains("db.example.com") && !said.contains("secret"), "{said}");
        said
    };
    // Other settings may be whole only with the options of the server.
    let mut command = about(&["backup"], &backup, &data);
    command.envs([("ZUMIK_UPSTREAM_KEY_ENV", "OPENAI_API_KEY"), ("ZUMIK_CONNECTIONS", "many")]);
    let said = check(command.env("ZUMIK_STORE", url));
    assert!(said.contains("pg_dump") && !backup.exists(), "{said}");
    check(zumik(["receipt-keys", "rotate", "--data"]).arg(&data).env("ZUMIK_STORE", url));

    fs::write(data.join("zumik.toml"), format!("store = \"{url}\"")).unwrap();
    check(&mut about(&["backup"], &backup, &data));
    fs::remove_file(data.join("zumik.toml")).unwrap();
    let said = refused(&output(&mut about(&["backup"], &data, &data)), 2);
    assert!(said.contains("the same folder"), "{said}");
    for (command, folder) in [("backup", data.join("copies/1")), ("restore", data.join("copies"))] {
        let said = refused(&output(&mut about(&[command], &folder, &data)), 2);
        assert!(said.contains("lies in") && !data.join("copies").exists(), "{said}");
    }
}
