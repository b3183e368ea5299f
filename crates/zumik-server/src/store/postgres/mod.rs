//! The durable store for several servers at once: one schema of a PostgreSQL database, a pool of connections.
//! `run` runs the operations, each in one transaction; every other file is one subject's SQL.

mod address;
mod aliases;
mod answers;
mod append;
mod artifacts;
mod batch_end;
mod batch_lines;
mod batch_operations;
mod batches;
mod branches;
mod bundles;
mod connect;
mod conversations;
mod db;
mod events;
mod fault;
mod files;
mod groups;
mod heads;
mod history;
mod keys;
mod merges;
mod operations;
mod presence;
mod prompts;
mod purge;
mod receipts;
mod responses;
mod run;
mod schema;
mod sessions;
mod snapshots;
mod sweep;
#[cfg(test)]
mod tests;
pub(in crate::store) mod transfer;
mod usage;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deadpool_postgres::{GenericClient, Object, Pool, PoolError};
use thiserror::Error;
use tokio::sync::Semaphore;

pub use address::{Address, AddressError};

use db::Env;
use fault::refused_certificate;
use groups::Groups;
use keys::Callers;
use presence::Presence;

use super::{ProviderCache, Result, StoreError};
use crate::clock::{Clock, SystemClock};
use crate::mint::{Mint, RandomMint};
use crate::seal::{MasterKey, SealError, Vault};
use crate::store::durable::folder::{MASTER_KEY_FILE, make_folder};

/// The schema that holds everything when nothing is said.
pub(in crate::store) const SCHEMA: &str = "zumik";

/// Connections that a server opens at most when nothing is said.
const CONNECTIONS: usize = 20;

/// One of so many connections may be at work on a report.
const REPORTS_OF: usize = 4;

/// How to open a store.
pub struct Options {
    address: Address,
    schema: String,
    connections: usize,
    existing: bool,
    folder: Option<PathBuf>,
    master_key: Option<MasterKey>,
    clock: Arc<dyn Clock>,
    mint: Arc<dyn Mint>,
    caches: Vec<ProviderCache>,
}

/// Why a store could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database cannot be reached, or refuses what is needed.
    #[error("the database could not be used")]
    Database(#[from] tokio_postgres::Error),
    /// No connection could be made.
    #[error("the database could not be connected to")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database showed a certificate that is not accepted.
    #[error(
        "the certificate of the database is refused; when an authority of your own signed it, name the file of that \
         authority with sslrootcert=FILE in the URL"
    )]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The authorities that the URL names could not be read.
    #[error("the certificates in {} could not be used", .0.display())]
    Authorities(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The pool or TLS could not be set up.
    #[error("connections to the database could not be set up")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The schema has a name that would need quotes.
    #[error("'{0}' is no name for a schema: it must be a-z, 0-9 and _, at most 63 of them")]
    SchemaName(String),
    /// The schema holds tables of another program.
    #[error("the schema '{0}' of the database holds tables of another program")]
    Foreign(String),
    /// The schema was written by a newer version.
    #[error("the database has schema version {found}, this server knows up to {known}: use a newer server")]
    Newer {
        /// Its version.
        found: usize,
        /// The newest known.
        known: usize,
    },
    /// The schema was written by an older version, and is not to be migrated.
    #[error("the database has schema version {found}, this program works with version {known}")]
    Older {
        /// Its version.
        found: usize,
        /// That of this program.
        known: usize,
    },
    /// No server has been started on the database, and none is to be set up.
    #[error("the database holds no data of a server")]
    NoData,
    /// The folder of the master key could not be made.
    #[error("the data folder {} could not be used", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// The master key of the database is not here.
    #[error(
        "the contents of this database are sealed with a master key that is not here: set ZUMIK_MASTER_KEY to it, or \
         copy master.key from the data folder of the first server"
    )]
    NoMasterKey,
    /// The master key is malformed or the wrong one, or its file cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The signing key in the database is the published test key of RFC 8037.
    #[error("the receipt key of this database is the public test key of RFC 8037, which proves nothing")]
    TestKey,
    /// The store could not begin its work.
    #[error("the store could not be started")]
    Store(#[from] StoreError),
}

impl From<PoolError> for OpenError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => match refused_certificate(&error) {
                Some(refused) => Self::Certificate(refused.into()),
                None => Self::Connect(error.into()),
            },
            other => Self::Connect(other.into()),
        }
    }
}

impl Options {
    /// Opens the database at this address. The master key must be given, or a folder to look for it.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            schema: SCHEMA.to_owned(),
            connections: CONNECTIONS,
            existing: false,
            folder: None,
            master_key: None,
            clock: Arc::new(SystemClock),
            mint: Arc::new(RandomMint::default()),
            caches: Vec::new(),
        }
    }

    /// The database.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Keeps everything in this schema instead of `zumik`, so that several stores fit in one database.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Opens at most so many connections, at least 1; 20 when nothing is said. One more is opened while responses in
    /// the background are worked on.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most.max(1);
        self
    }

    /// Opens only a database that a server of this version has been started on: its schema is neither made nor migrated,
    /// and no master key is made.
    #[must_use]
    pub fn existing(mut self) -> Self {
        self.existing = true;
        self
    }

    /// Looks for the master key in this folder; the first server of a database makes one there.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
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

    /// Names these caches of providers in the receipts of purges that this server carries out. Servers of one database that
    /// send prompts to the same providers name the same caches.
    #[must_use]
    pub fn provider_caches(mut self, caches: Vec<ProviderCache>) -> Self {
        self.caches = caches;
        self
    }
}

/// The durable store for several servers at once.
pub struct PostgresStore {
    env: Arc<Env>,
    pool: Pool,
    groups: Arc<Groups>,
    callers: Callers,
    /// Reports at one time: a part of the connections, so that there are some for all else.
    reports: Arc<Semaphore>,
}

impl PostgresStore {
    /// Connects to a database and brings its schema up to date.
    ///
    /// # Errors
    /// The database cannot be reached, is foreign or newer, or the master key is missing or the wrong one. An
    /// [existing](Options::existing) one is older, or holds nothing.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let Options { address, schema, connections, existing, folder, master_key, clock, mint, caches } =
            options;
        if !schema::is_name(&schema) {
            return Err(OpenError::SchemaName(schema));
        }
        let pool = connect::pool(&address, &schema, connections, connect::Use::Serve)?;
        let mut connection = pool.get().await?;
        let vault = if existing {
            schema::expect_current(&connection, &schema).await?;
            existing_vault(&connection, master_key, folder).await?
        } else {
            schema::migrate(&mut connection, &schema).await?;
            open_vault(&mut connection, &schema, master_key, folder, &*mint).await?
        };
        let number: i64 = connection.query_one("SELECT nextval('replica_numbers')", &[]).await?.try_get(0)?;
        drop(connection);
        let presence = Presence::new(number, schema);
        let project_rows = parking_lot::RwLock::default();
        let caches = caches.into();
        let env = Env { vault, mint, clock, caches, presence, heads: heads::Heads::default(), project_rows };
        let groups = Groups::new(pool.clone());
        let reports = Arc::new(Semaphore::new((connections / REPORTS_OF).max(1)));
        let store = Self { env: Arc::new(env), pool, groups, callers: Callers::default(), reports };
        let key = store.write(|db| Box::pin(db.ensure_signing_key())).await?;
        if key.is_test_key() {
            return Err(OpenError::TestKey);
        }
        Ok(store)
    }

    /// Makes a new key that signs receipts from now on, on every replica. The one before stays listed, so that what it
    /// signed still verifies.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn rotate_receipt_key(&self) -> Result<()> {
        self.write(|db| Box::pin(db.rotate_receipt_key())).await.map(drop)
    }
}

/// Opens the vault with the key that the database was made with. A new database takes the key that is there, or gets a
/// new one; of replicas that start at once on it, one decides.
async fn open_vault(
    connection: &mut Object,
    schema: &str,
    given: Option<MasterKey>,
    folder: Option<PathBuf>,
    mint: &dyn Mint,
) -> Result<Vault, OpenError> {
    let transaction = connection.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&schema::lock(schema, "master key")]).await?;
    let present = present_key(given, folder.as_deref())?;
    if let Some(vault) = checked_vault(&transaction, present.as_ref()).await? {
        return Ok(vault);
    }
    let key = match (present, folder) {
        (Some(key), _) => key,
        (None, None) => return Err(OpenError::NoMasterKey),
        (None, Some(folder)) => {
            let key = MasterKey::mint(mint);
            make_folder(&folder).map_err(|error| OpenError::Folder(folder.clone(), error))?;
            key.save(&folder.join(MASTER_KEY_FILE))?;
            key
        }
    };
    let vault = Vault::new(&key);
    transaction
        .execute("INSERT INTO server (id, master_proof) VALUES (1, $1)", &[&vault.proof(mint)?])
        .await?;
    transaction.commit().await?;
    Ok(vault)
}

/// Opens the vault of a database that has one.
async fn existing_vault(
    connection: &Object,
    given: Option<MasterKey>,
    folder: Option<PathBuf>,
) -> Result<Vault, OpenError> {
    let present = present_key(given, folder.as_deref())?;
    checked_vault(connection, present.as_ref()).await?.ok_or(OpenError::NoData)
}

/// The master key given, else that of the folder.
fn present_key(given: Option<MasterKey>, folder: Option<&Path>) -> Result<Option<MasterKey>, SealError> {
    match (given, folder) {
        (Some(key), _) => Ok(Some(key)),
        (None, Some(folder)) => MasterKey::load(&folder.join(MASTER_KEY_FILE)),
        (None, None) => Ok(None),
    }
}

/// The vault of this key, which must be that of the database; nothing while the database has none.
async fn checked_vault(
    client: &impl GenericClient,
    key: Option<&MasterKey>,
) -> Result<Option<Vault>, OpenError> {
    let Some(proof) = client.query_opt("SELECT master_proof FROM server", &[]).await? else {
        return Ok(None);
    };
    let vault = Vault::new(key.ok_or(OpenError::NoMasterKey)?);
    vault.check(proof.try_get(0)?)?;
    Ok(Some(vault))
}
