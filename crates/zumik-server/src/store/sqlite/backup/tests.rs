//! A backup is a moment of the folder, whole, or it is refused.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use chrono::Utc;
use tempfile::TempDir;
use zumik_types::{CreatePurgeJobRequest, PurgeJobStatus};

use super::*;
use crate::clock::FixedClock;
use crate::config;
use crate::seal::MasterKey;
use crate::store::conformance::{World, fresh};
use crate::store::sqlite::tests::{files, holds_any, sealed};
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{NewFile, Store as _};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A data folder with something in it, and room for backups beside it.
struct Scene {
    root: TempDir,
    store: Arc<SqliteStore>,
    world: World,
}

impl Scene {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (store, world) = open(&root.path().join("data"), None).await;
        for at in 0..20 {
            world.document(&format!("document {at}")).await;
        }
        Self { root, store, world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn backup(&self, contents: &Contents) -> PathBuf {
        let target = self.path("backup");
        write(&self.path("data"), &target, contents, Utc::now(), &mut go_on).unwrap();
        target
    }
}

async fn open(folder: &Path, key: Option<MasterKey>) -> (Arc<SqliteStore>, World) {
    let clock = Arc::new(FixedClock::at("2026-06-15T16:04:10Z".parse().unwrap()));
    let mut options = Options::new(folder).clock(clock.clone());
    if let Some(key) = key {
        options = options.master_key(key);
    }
    let store = Arc::new(SqliteStore::open(options).await.unwrap());
    (store.clone(), World::new(store, clock, None).await)
}

fn with_key() -> Contents {
    Contents { with_master_key: true, ..Contents::default() }
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Names of what lies in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_restored_folder_is_the_one_that_was_there_at_that_moment() {
    let scene = Scene::new().await;
    let world = &scene.world;
    let text = NewFile {
        filename: "f".to_owned(),
        purpose: "batch".to_owned(),
        content: "what it says".into(),
        expires_at: None,
    };
    let file = fresh(world.store.upload_file(&world.ctx(), text, None).await);
    fs::write(scene.path("data").join(config::FILE_NAME), "drain_seconds = 7\n").unwrap();
    let backup = scene.backup(&with_key());
    let later = world.document("later").await;
    assert_eq!(names(&backup), ["backup.json", "master.key", "zumik.db", "zumik.toml"]);
    check(&backup, None, &mut go_on).unwrap();

    let restored = scene.path("deep/restored");
    let manifest = restore(&backup, &restored, &RestoreKey::FromSource, &mut go_on).unwrap();
    assert_eq!(manifest.rows["artifacts"], 20);
    assert_eq!(names(&restored), ["master.key", "server.lock", "zumik.db", "zumik.toml"]);
    let (store, again) = open(&restored, None).await;
    assert_eq!(store.list_receipt_keys().await.unwrap(), scene.store.list_receipt_keys().await.unwrap());
    assert_eq!(store.list_artifacts(&again.ctx()).await.unwrap().len(), 20);
    assert!(store.retrieve_artifact(&again.ctx(), &later).await.is_err());
    assert_eq!(store.retrieve_file_content(&again.ctx(), &file.id).await.unwrap(), "what it says");
}

#[tokio::test]
async fn no_receipt_of_a_purge_is_signed_while_an_older_moment_is_still_being_copied() {
    let scene = Scene::new().await;
    let doomed = scene.world.document("to be purged").await;
    let (begun, is_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let (data, target) = (scene.path("data"), scene.path("backup"));
    let writing = tokio::task::spawn_blocking(move || {
        let mut watch = |progress: Progress| {
            if progress.stage == Stage::Copying {
                begun.send(()).unwrap();
                may_go.recv().unwrap();
            }
            ControlFlow::Continue(())
        };
        write(&data, &target, &with_key(), Utc::now(), &mut watch)
    });
    tokio::task::spawn_blocking(move || is_begun.recv()).await.unwrap().unwrap();
    scene.world.document("written meanwhile").await;
    let request = CreatePurgeJobRequest::new([&doomed]);
    let job = fresh(scene.store.create_purge_job(&scene.world.ctx(), request, None).await);
    assert_eq!(job.status, PurgeJobStatus::Running);
    go.send(()).unwrap();
    let manifest = writing.await.unwrap().unwrap();
    assert_eq!(manifest.rows["artifacts"], 21, "the moment before both");

    scene.store.sweep(scene.world.ctx().now).await.unwrap();
    let job = scene.store.retrieve_purge_job(&scene.world.ctx(), &job.id).await.unwrap();
    assert_eq!(job.status, PurgeJobStatus::Completed);
}

#[tokio::test]
async fn a_backup_holds_nothing_of_what_was_purged_before() {
    let scene = Scene::new().await;
    let mut doomed = Vec::new();
    for at in 0..40 {
        doomed.push(scene.world.document(&format!("doomed {at} {}", "x".repeat(at * at * 7))).await);
    }
    let texts: Vec<_> = doomed.iter().flat_map(|id| sealed(&scene.store, id)).collect();
    let needles = texts.iter().flat_map(|text| text.windows(40).step_by(40)).collect();
    let before = scene.backup(&Contents::default());
    assert!(files(&before).iter().any(|(_, bytes)| holds_any(bytes, &needles)));
    fs::remove_dir_all(&before).unwrap();

    let request = CreatePurgeJobRequest::new(&doomed);
    scene.store.create_purge_job(&scene.world.ctx(), request, None).await.unwrap();
    for (name, bytes) in files(&scene.backup(&Contents::default())) {
        assert!(!holds_any(&bytes, &needles), "{name}");
    }
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let scene = Scene::new().await;
    let backup = scene.backup(&with_key());
    let restored = scene.path("restored");
    let refuse = |what: &str| {
        let error = restore(&backup, &restored, &RestoreKey::FromSource, &mut go_on).unwrap_err();
        assert!(check(&backup, None, &mut go_on).is_err(), "{what}");
        assert!(!restored.exists(), "{what}");
        error
    };
    let database = backup.join(DATABASE);
    let sound = fs::read(&database).unwrap();
    for at in [0, 30, 4096, sound.len() / 2, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&database, bytes).unwrap();
        assert!(matches!(refuse("a byte"), BackupError::Damaged { .. }));
    }
    fs::write(&database, &sound[..sound.len() - 4096]).unwrap();
    assert!(matches!(refuse("a page less"), BackupError::Damaged { .. }));
    fs::remove_file(&database).unwrap();
    assert!(matches!(refuse("no database"), BackupError::File(..)));
    fs::write(&database, &sound).unwrap();

    let manifest = backup.join(MANIFEST);
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"artifacts\": 20", "\"artifacts\": 19")).unwrap();
    assert!(matches!(refuse("other rows"), BackupError::Damaged { .. }));
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(matches!(refuse("a newer format"), BackupError::Newer { found: 2, .. }));
    fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    assert!(matches!(refuse("half a manifest"), BackupError::Manifest(..)));
    fs::remove_file(&manifest).unwrap();
    assert!(matches!(refuse("no manifest"), BackupError::NoBackup(_)));
    fs::write(&manifest, &text).unwrap();
    restore(&backup, &restored, &RestoreKey::FromSource, &mut go_on).unwrap();
}

#[tokio::test]
async fn a_backup_without_the_master_key_opens_with_that_key_only() {
    let scene = Scene::new().await;
    let own = || MasterKey::load(&scene.path("data").join(MASTER_KEY_FILE)).unwrap().unwrap();
    let backup = scene.backup(&Contents::default());
    assert_eq!(names(&backup), ["backup.json", "zumik.db"]);
    check(&backup, None, &mut go_on).unwrap();

    let restored = scene.path("restored");
    let refused = restore(&backup, &restored, &RestoreKey::FromSource, &mut go_on);
    assert!(matches!(refused, Err(BackupError::KeyNeeded)), "{refused:?}");
    let wrong = MasterKey::parse(KEY).unwrap();
    assert!(check(&backup, Some(&wrong), &mut go_on).is_err());
    let refused = restore(&backup, &restored, &RestoreKey::Kept(wrong), &mut go_on);
    assert!(matches!(refused, Err(BackupError::Seal(_))), "{refused:?}");
    assert!(!restored.exists());

    restore(&backup, &restored, &RestoreKey::Given(own()), &mut go_on).unwrap();
    assert_eq!(names(&restored), ["server.lock", "zumik.db"]);
    let refused = SqliteStore::open(Options::new(&restored)).await.err().unwrap();
    assert!(refused.to_string().contains("no master key"), "{refused}");
    assert_eq!(names(&restored), ["server.lock", "zumik.db"], "no other key is made for what is sealed");
    open(&restored, Some(own())).await.0.close().await;

    let kept = scene.path("kept");
    restore(&backup, &kept, &RestoreKey::Kept(own()), &mut go_on).unwrap();
    open(&kept, None).await;
}

#[tokio::test]
async fn a_folder_that_holds_something_is_left_alone() {
    let scene = Scene::new().await;
    let backup = scene.backup(&with_key());
    let data = scene.path("data");
    let before = names(&backup);
    let again = write(&data, &backup, &with_key(), Utc::now(), &mut go_on);
    assert!(matches!(again, Err(BackupError::NotEmpty(_))), "{again:?}");
    assert_eq!(names(&backup), before);
    let onto = restore(&backup, &data, &RestoreKey::FromSource, &mut go_on);
    assert!(matches!(onto, Err(BackupError::InUse(_))), "{onto:?}");
    scene.store.close().await;
    let onto = restore(&backup, &data, &RestoreKey::FromSource, &mut go_on);
    assert!(matches!(onto, Err(BackupError::NotEmpty(_))), "{onto:?}");
    let nothing = write(&scene.path("nowhere"), &scene.path("b"), &with_key(), Utc::now(), &mut go_on);
    assert!(matches!(nothing, Err(BackupError::NoData(_))), "{nothing:?}");
    assert!(!scene.path("b").exists() && !scene.path("nowhere").exists());
}

#[tokio::test]
async fn what_is_interrupted_leaves_nothing() {
    let scene = Scene::new().await;
    let data = scene.path("data");
    let backup = scene.backup(&with_key());
    for stage in [Stage::Copying, Stage::Checking, Stage::Reading] {
        let mut watch = |progress: Progress| match progress.stage == stage {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let target = scene.path("interrupted");
        let written = write(&data, &target, &with_key(), Utc::now(), &mut watch);
        assert!(matches!(written, Err(BackupError::Interrupted)), "{written:?}");
        assert!(!target.exists());
        if stage != Stage::Copying {
            let restored = restore(&backup, &target, &RestoreKey::FromSource, &mut watch);
            assert!(matches!(restored, Err(BackupError::Interrupted)), "{restored:?}");
            assert!(!target.exists());
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn backups_and_restored_folders_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::new().await;
    let backup = scene.backup(&with_key());
    let restored = scene.path("restored");
    restore(&backup, &restored, &RestoreKey::FromSource, &mut go_on).unwrap();
    for folder in [backup, restored] {
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for name in names(&folder).iter().filter(|name| *name != "server.lock") {
            let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{name}");
        }
    }
}
