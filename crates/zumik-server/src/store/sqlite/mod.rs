//! The durable store: one SQLite database in a data folder, one writer thread, readers beside it.
//! `writer` and `reader` run the operations; every other file is one subject's SQL.

mod aliases;
mod answers;
mod artifacts;
pub mod backup;
mod batch_end;
mod batch_lines;
mod batch_operations;
mod batches;
mod branches;
mod bundles;
mod checkpoint;
mod connection;
mod contents;
mod conversations;
mod db;
mod disk;
mod events;
mod files;
mod folder;
mod history;
pub(in crate::store) mod keys;
mod lookups;
mod merges;
mod operations;
mod prompts;
mod purge;
mod reader;
mod receipts;
mod registry;
mod responses;
mod run;
mod sessions;
mod snapshots;
mod sweep;
#[cfg(test)]
mod tests;
pub(in crate::store) mod transfer;
mod usage;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

pub use connection::OpenError;
pub use registry::{ReceiptKeyRecord, Registry};

use db::{Db, Env};
use folder::{DataFolder, FolderLock};
use reader::Readers;
use writer::Writer;

use super::{ProviderCache, Result};
use crate::blocking::blocking;
use crate::clock::{Clock, SystemClock};
use crate::mint::{Mint, RandomMint};
use crate::seal::{MasterKey, Vault};

/// How often a purge tries to empty the log before it leaves that to the sweep.
const TRUNCATIONS: usize = 4;

/// How to open a data folder.
pub struct Options {
    folder: PathBuf,
    master_key: Option<MasterKey>,
    clock: Arc<dyn Clock>,
    mint: Arc<dyn Mint>,
    caches: Vec<ProviderCache>,
    waiting_keys: usize,
}

impl Options {
    /// Opens the folder at this path, made when it is missing, with the master key that lies in it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            master_key: None,
            clock: Arc::new(SystemClock),
            mint: Arc::new(RandomMint::default()),
            caches: Vec::new(),
            waiting_keys: lookups::WAITING,
        }
    }

    /// Uses this master key; none is read from the folder or written to it.
    #[must_use]
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    /// Takes times that no request gives from this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes ids and random bytes from here.
    #[must_use]
    pub fn mint(mut self, mint: Arc<dyn Mint>) -> Self {
        self.mint = mint;
        self
    }

    /// Names these caches of providers in the receipts of purges, also of those that a crash interrupted.
    #[must_use]
    pub fn provider_caches(mut self, caches: Vec<ProviderCache>) -> Self {
        self.caches = caches;
        self
    }

    /// Lets so many idempotency keys wait in memory before they are written to their index, a part at a time: 16,384
    /// unless told otherwise. They are found either way.
    #[must_use]
    pub fn waiting_keys(mut self, most: usize) -> Self {
        self.waiting_keys = most;
        self
    }
}

/// The durable store.
pub struct SqliteStore {
    env: Arc<Env>,
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    /// Released after the writer has closed.
    lock: parking_lot::Mutex<Option<FolderLock>>,
}

impl SqliteStore {
    /// Opens a data folder, for this process alone. Purges that a crash interrupted are completed.
    ///
    /// # Errors
    /// The folder is in use, its files are foreign, newer or damaged, or the master key is the wrong one.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let store = blocking(|| Self::open_blocking(options)).await.map_err(super::StoreError::from)??;
        store.complete_purges().await?;
        Ok(store)
    }

    fn open_blocking(options: Options) -> Result<Self, OpenError> {
        let Options { folder, master_key, clock, mint, caches, waiting_keys } = options;
        let folder = DataFolder::open(&folder)?;
        let lock = folder.lock()?;
        let path = folder.database();
        let mut conn = connection::open_writer(&path)?;
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let vault = vault(&transaction, &folder, master_key, &*mint)?;
        receipts::ensure_key(&transaction, &vault, &*mint, clock.now())?;
        batch_lines::free_batch_lines(&transaction)?;
        let newest_line = batch_lines::newest_batch_line(&transaction)?;
        transaction.commit()?;
        let env = Arc::new(Env {
            vault,
            mint,
            clock,
            caches: caches.into(),
            project_rows: parking_lot::RwLock::default(),
            lookups: parking_lot::Mutex::new(lookups::Lookups::load(&conn, waiting_keys)?),
            newest_line: newest_line.into(),
            disk: disk::Disk::default(),
        });
        let log = checkpoint::Log::default();
        let writer = Writer::start(conn, Arc::clone(&env), log)
            .map_err(|error| OpenError::File(path.clone(), error))?;
        let readers = Arc::new(Readers::new(path, Arc::clone(&env)));
        Ok(Self { env, writer: Arc::new(writer), readers, lock: parking_lot::Mutex::new(Some(lock)) })
    }

    /// Makes a new key that signs receipts from now on. The one before stays listed, so that what it signed
    /// still verifies.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn rotate_receipt_key(&self) -> Result<()> {
        self.writer.write(|db| db.rotate_receipt_key(db.env.clock.now())).await
    }

    /// Empties the log and signs the receipts that wait for it. Whether none waits any more.
    async fn complete_purges(&self) -> Result<bool> {
        match self.readers.read(|db| db.newest_running_purge()).await? {
            Some(newest) => self.complete_purges_until(newest).await,
            None => Ok(true),
        }
    }

    async fn complete_purges_until(&self, newest: i64) -> Result<bool> {
        for _ in 0..TRUNCATIONS {
            if self.writer.truncate_log().await? {
                self.writer.write(move |db| db.finish_purges(newest)).await?;
                return Ok(true);
            }
        }
        tracing::warn!("a purge waits: a reader holds on to the write-ahead log");
        Ok(false)
    }
}

/// The vault of a folder: of the key that it was made with, which a new folder gets here.
fn vault(
    conn: &Connection,
    folder: &DataFolder,
    given: Option<MasterKey>,
    mint: &dyn Mint,
) -> Result<Vault, OpenError> {
    match master_proof(conn)? {
        Some(proof) => {
            let vault = Vault::new(&folder.master_key(given)?);
            vault.check(&proof)?;
            Ok(vault)
        }
        None => {
            let vault = Vault::new(&folder.first_master_key(given, mint)?);
            conn.execute("INSERT INTO server (id, master_proof) VALUES (1, ?1)", [vault.proof(mint)?])?;
            Ok(vault)
        }
    }
}

/// What a folder recognizes its master key by, once something was sealed in it.
fn master_proof(conn: &Connection) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.query_row("SELECT master_proof FROM server", [], |row| row.get(0)).optional()
}
