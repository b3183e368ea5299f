//! One lane of writes: a session of its own, artifacts, files and purges, each write under a key, and what was
//! acknowledged of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use zumik_client::types::{
    ArtifactId, ArtifactType, BatchId, BranchId, BundleItem, EventId, EventType, FileId, MergeStrategy,
    NewEvent, PurgeJobId, Session,
};
use zumik_client::{ErrorKind, FilePart, Result, Zumik};

use super::remains::{self, Probe};

/// Files that a lane holds at most: a project holds 200.
const FILES: usize = 4;

/// Branches of a lane.
const BRANCHES: usize = 4;

/// Batches of a lane: each keeps two files for good.
const BATCHES: usize = 3;

/// Lines of a batch.
pub(super) const LINES: usize = 8;

/// A write, complete: sent again it is the same request under the same key.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Session,
    Append {
        branch: usize,
        version: u64,
        payload: Option<ArtifactId>,
    },
    Fork {
        branch: usize,
    },
    /// Copies what `from` has beyond `into`, onto `into` or onto a third branch.
    Merge {
        into: usize,
        version: u64,
        from: usize,
        onto_third: bool,
    },
    Artifact {
        text: String,
    },
    Bundle {
        artifact: ArtifactId,
    },
    Upload {
        text: String,
    },
    DeleteFile(FileId),
    /// The file that a batch will run.
    BatchInput,
    Batch {
        input: FileId,
    },
    Purge(ArtifactId),
}

/// A branch as it was acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) id: BranchId,
    pub(super) events: Vec<EventId>,
}

/// One lane of writes, and what was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    number: usize,
    random: fastrand::Rng,
    /// The data folder of the server; nothing when its state is in a database.
    data: Option<PathBuf>,
    writes: u64,
    acknowledged: u64,
    pending: Option<(String, Write)>,
    /// A write that is done, to be repeated.
    done: Option<(String, Write)>,
    /// What the purge that is pending must leave nothing of.
    probes: Vec<Probe>,
    remains: Vec<Probe>,
    pub(super) session: Option<Session>,
    pub(super) branches: Vec<Branch>,
    /// Artifacts that are there, and whether an event names them.
    pub(super) artifacts: BTreeMap<ArtifactId, bool>,
    pub(super) files: BTreeMap<FileId, String>,
    /// Input files, and the batches that run them.
    pub(super) batches: BTreeMap<FileId, Option<BatchId>>,
    pub(super) purges: Vec<(PurgeJobId, ArtifactId)>,
}

impl Lane {
    /// A lane over a server with a data folder.
    pub(crate) fn new(number: usize, seed: u64, data: &Path) -> Self {
        Self { data: Some(data.to_owned()), ..Self::elsewhere(number, seed) }
    }

    /// A lane over a server whose state is in a database. It ends when nobody wants to be told any more, and takes a
    /// refusal for the lack of a store as the end of the server.
    pub(super) fn elsewhere(number: usize, seed: u64) -> Self {
        Self {
            number,
            random: fastrand::Rng::with_seed(seed.wrapping_add(number as u64)),
            data: None,
            writes: 0,
            acknowledged: 0,
            pending: None,
            done: None,
            probes: Vec::new(),
            remains: Vec::new(),
            session: None,
            branches: Vec::new(),
            artifacts: BTreeMap::new(),
            files: BTreeMap::new(),
            batches: BTreeMap::new(),
            purges: Vec::new(),
        }
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(super) fn purged(&self) -> u64 {
        self.purges.len() as u64
    }

    /// Batches that were created.
    pub(super) fn batches(&self) -> u64 {
        self.batches.values().flatten().count() as u64
    }

    /// What must not be found in any file, since the last time.
    pub(crate) fn take_remains(&mut self) -> Vec<Probe> {
        std::mem::take(&mut self.remains)
    }

    /// The same lane over another folder.
    pub(crate) fn at(&self, data: &Path) -> Self {
        Self { data: Some(data.to_owned()), ..self.clone() }
    }

    /// Writes until the server is gone; the write in flight stays pending. `see` is shown the lane before each write and
    /// after each acknowledgement.
    pub(crate) async fn run(&mut self, zk: &Zumik, told: &mpsc::Sender<()>, see: impl Fn(&Self)) {
        loop {
            if self.random.u8(..10) == 0 && self.repeat(zk).await.is_err() {
                return;
            }
            self.begin();
            see(self);
            if let Err(error) = self.send(zk).await {
                assert!(self.is_gone(&error), "lane {}: {:?}: {error}", self.number, self.pending);
                return;
            }
            see(self);
            // The receiver has gone when enough are counted.
            if told.send(()).await.is_err() && self.data.is_none() {
                return;
            }
        }
    }

    /// Sends the write that was refused before, or a new one.
    pub(crate) async fn attempt(&mut self, zk: &Zumik) -> Result<()> {
        if self.pending.is_none() {
            self.begin();
        }
        self.send(zk).await.map(drop)
    }

    /// Chooses the next write.
    fn begin(&mut self) {
        let key = format!("lane-{}-{}", self.number, self.writes);
        let write = self.choose();
        self.writes += 1;
        if let (Write::Purge(artifact), Some(data)) = (&write, &self.data) {
            self.probes = remains::of(data, artifact);
        }
        self.pending = Some((key, write));
    }

    /// Sends the write that was in flight at a kill once more. Whether it had been made; nothing when none was.
    pub(crate) async fn settle(&mut self, zk: &Zumik) -> Option<bool> {
        self.pending.as_ref()?;
        match self.send(zk).await {
            Ok(made) => Some(made),
            Err(error) => panic!("lane {}: {:?}, again: {error}", self.number, self.pending),
        }
    }

    /// Sends the pending write and takes in its answer. Whether the answer is that of an earlier sending.
    async fn send(&mut self, zk: &Zumik) -> Result<bool> {
        let Some((key, write)) = self.pending.clone() else { return Ok(false) };
        let replayed = self.perform(zk, &key, &write).await?;
        self.acknowledged += 1;
        self.done = self.pending.take();
        Ok(replayed)
    }

    /// Sends a write that is acknowledged again: nothing may come of it.
    async fn repeat(&mut self, zk: &Zumik) -> Result<()> {
        let Some((key, write)) = self.done.clone() else { return Ok(()) };
        if matches!(write, Write::DeleteFile(_)) {
            return Ok(());
        }
        let before = (self.branches.clone(), self.artifacts.clone(), self.files.clone(), self.purges.clone());
        let (session, batches) = (self.session.clone(), self.batches.clone());
        let replayed = match self.perform(zk, &key, &write).await {
            Ok(replayed) => replayed,
            Err(error) if self.is_gone(&error) => return Err(error),
            Err(error) => panic!("lane {}: {key}, {write:?}, again: {error}", self.number),
        };
        assert!(replayed, "{key} ran again");
        assert_eq!((&self.session, &self.batches), (&session, &batches), "{key}");
        (self.branches, self.artifacts, self.files, self.purges) = before;
        Ok(())
    }

    fn choose(&mut self) -> Write {
        if self.session.is_none() {
            return Write::Session;
        }
        let branch = self.random.usize(..self.branches.len());
        let text = format!(
            "lane {} write {} keeps the ledger of the orchard in the cellar",
            self.number, self.writes
        );
        let artifact = self.random.choice(self.artifacts.keys()).cloned();
        let unnamed = self.artifacts.iter().filter(|(_, named)| !**named).map(|(id, _)| id);
        let purgeable = self.random.choice(unnamed.collect::<Vec<_>>()).cloned();
        let version = |branch: usize| self.branches[branch].events.len() as u64;
        let waiting = self.batches.iter().find(|(_, batch)| batch.is_none()).map(|(input, _)| input.clone());
        match self.random.u8(..100) {
            0..45 => {
                let payload = artifact.filter(|_| self.random.u8(..4) == 0);
                Write::Append { branch, version: version(branch), payload }
            }
            45..50 if self.branches.len() < BRANCHES => Write::Fork { branch },
            50..60 => match self.mergeable() {
                Some((into, from)) => {
                    let onto_third = self.branches.len() < BRANCHES && self.random.bool();
                    Write::Merge { into, version: version(into), from, onto_third }
                }
                None => Write::Append { branch, version: version(branch), payload: None },
            },
            60..62 if let Some(input) = waiting => Write::Batch { input },
            60..62 if self.batches.len() < BATCHES => Write::BatchInput,
            60..65 => match artifact {
                Some(artifact) => Write::Bundle { artifact },
                None => Write::Artifact { text },
            },
            65..75 => match self.files.keys().next() {
                Some(file) if self.files.len() >= FILES => Write::DeleteFile(file.clone()),
                _ => Write::Upload { text },
            },
            75..85 => match purgeable {
                Some(artifact) => Write::Purge(artifact),
                None => Write::Artifact { text },
            },
            _ => Write::Artifact { text },
        }
    }

    /// Two branches of which the second has something that the first has not.
    fn mergeable(&self) -> Option<(usize, usize)> {
        let pairs =
            (0..self.branches.len()).flat_map(|into| (0..self.branches.len()).map(move |from| (into, from)));
        let new = |&(into, from): &(usize, usize)| {
            let (common, from) = (self.common(into, from), &self.branches[from].events);
            from.len() > common && from.len() - common < 50
        };
        pairs.rev().find(new)
    }

    fn common(&self, one: usize, other: usize) -> usize {
        let (one, other) = (&self.branches[one].events, &self.branches[other].events);
        one.iter().zip(other).take_while(|(one, other)| one == other).count()
    }

    /// Sends a write and takes in what came of it. Whether the answer is a replay.
    async fn perform(&mut self, zk: &Zumik, key: &str, write: &Write) -> Result<bool> {
        let replayed = |meta: &zumik_client::Meta| meta.idempotent_replay().unwrap_or(false);
        let session = self.session.as_ref().map(|session| session.id.clone());
        let session = || session.clone().expect("the first write makes a session");
        Ok(match write {
            Write::Session => {
                let answer = zk.sessions().create().idempotency_key(key).send().await?;
                let root = Branch { id: answer.default_branch_id.clone(), events: Vec::new() };
                self.branches = vec![root];
                let replay = replayed(answer.meta());
                self.session = Some(answer.into_inner());
                replay
            }
            Write::Append { branch, version, payload } => {
                let branch = &mut self.branches[*branch];
                let mut event = NewEvent::new(EventType::Note);
                event.payload_ref = payload.as_ref().map(String::from);
                let call = zk.events().append(session(), &branch.id, *version, event);
                let answer = call.idempotency_key(key).send().await?;
                assert_eq!(answer.sequence, version + 1, "{key}");
                branch.events.push(answer.id.clone());
                if let Some(named) = payload.as_ref().and_then(|payload| self.artifacts.get_mut(payload)) {
                    *named = true;
                }
                replayed(answer.meta())
            }
            Write::Fork { branch } => {
                let (id, events) = (self.branches[*branch].id.clone(), self.branches[*branch].events.clone());
                let answer = zk.branches().fork(session(), &id).idempotency_key(key).send().await?;
                assert_eq!(answer.version, events.len() as u64, "{key}");
                self.branches.push(Branch { id: answer.id.clone(), events });
                replayed(answer.meta())
            }
            Write::Merge { into, version, from, onto_third } => {
                let (target, source) = (self.branches[*into].clone(), self.branches[*from].id.clone());
                let strategy = if *onto_third { MergeStrategy::Fork } else { MergeStrategy::Rebase };
                let call = zk.merges().create(session(), &target.id, source, strategy, *version);
                let answer = call.idempotency_key(key).send().await?;
                let copies = answer.appended.iter().map(|event| event.id.clone());
                if *onto_third {
                    let events = target.events.iter().cloned().chain(copies).collect();
                    self.branches.push(Branch { id: answer.target_branch.id.clone(), events });
                } else {
                    self.branches[*into].events.extend(copies);
                }
                replayed(answer.meta())
            }
            Write::Artifact { text } => {
                let members = [("write".to_owned(), serde_json::json!(text))];
                let call = zk
                    .artifacts()
                    .create(ArtifactType::Document, text)
                    .metadata(members.into_iter().collect());
                let answer = call.idempotency_key(key).send().await?;
                self.artifacts.insert(answer.id.clone(), false);
                replayed(answer.meta())
            }
            Write::Bundle { artifact } => {
                let call = zk.bundles().create([BundleItem::new(artifact, "context")]);
                replayed(call.idempotency_key(key).send().await?.meta())
            }
            Write::Upload { text } => {
                let file = FilePart::bytes("notes.txt", text.clone());
                let answer =
                    zk.v1().files().upload(file).purpose("user_data").idempotency_key(key).send().await?;
                self.files.insert(answer.id.clone(), text.clone());
                replayed(answer.meta())
            }
            Write::DeleteFile(id) => {
                let made = match zk.v1().files().delete(id).await {
                    Ok(_) => false,
                    // Deleted before the kill; a DELETE has no key.
                    Err(error) if error.kind() == ErrorKind::NotFound => true,
                    Err(error) => return Err(error),
                };
                self.files.remove(id);
                made
            }
            Write::BatchInput => {
                let file = FilePart::bytes("batch.jsonl", batch_input());
                let answer =
                    zk.v1().files().upload(file).purpose("batch").idempotency_key(key).send().await?;
                self.batches.entry(answer.id.clone()).or_default();
                replayed(answer.meta())
            }
            Write::Batch { input } => {
                let call = zk.v1().batches().create(input, "/v1/chat/completions");
                let answer = call.idempotency_key(key).send().await?;
                self.batches.insert(input.clone(), Some(answer.id.clone()));
                replayed(answer.meta())
            }
            Write::Purge(artifact) => {
                let answer = zk.purge_jobs().create([artifact]).idempotency_key(key).send().await?;
                self.artifacts.remove(artifact);
                self.purges.push((answer.id.clone(), artifact.clone()));
                self.remains.append(&mut self.probes);
                replayed(answer.meta())
            }
        })
    }

    /// Whether the server, or its database, went away before the answer.
    fn is_gone(&self, error: &zumik_client::Error) -> bool {
        match error.status() {
            None => true,
            // 500: the database went away while it committed.
            Some(status) => {
                status.is_success() || (self.data.is_none() && matches!(status.as_u16(), 500 | 503))
            }
        }
    }
}

/// What a batch runs. The custom ids are the numbers of the lines.
fn batch_input() -> String {
    let line = |number| {
        let messages = serde_json::json!([{ "role": "user", "content": "Count the apples." }]);
        let line = serde_json::json!({
            "custom_id": format!("{number}"), "method": "POST", "url": "/v1/chat/completions",
            "body": { "model": "auto", "messages": messages },
        });
        format!("{line}\n")
    };
    (0..LINES).map(line).collect()
}
