//! Where a server keeps its state, and opening that.

use std::path::PathBuf;
use std::sync::Arc;

use super::StartError;
use crate::clock::Clock;
use crate::mint::Mint;
use crate::seal::MasterKey;
use crate::store::memory::MemoryStore;
use crate::store::postgres::{self, PostgresStore};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{ProviderCache, Store};

/// Where state is kept.
pub(super) enum Keep {
    Memory,
    Folder(PathBuf),
    Store(Arc<dyn Store>),
}

/// What a store is opened with.
pub(super) struct Opening {
    pub(super) master_key: Option<MasterKey>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mint: Arc<dyn Mint>,
    /// The caches that receipts of purges name.
    pub(super) caches: Vec<ProviderCache>,
}

impl Keep {
    /// Opens it. A store that is open already is taken as it is, if it was told of the caches.
    pub(super) async fn open(self, opening: Opening) -> Result<Arc<dyn Store>, StartError> {
        let Opening { master_key, clock, mint, caches } = opening;
        match self {
            Self::Store(store) => {
                let told = store.provider_caches();
                match caches.iter().find(|cache| !told.contains(cache)) {
                    Some(cache) => Err(StartError::UntoldCache { upstream: cache.provider().to_owned() }),
                    None => Ok(store),
                }
            }
            Self::Memory => Ok(Arc::new(MemoryStore::new(clock, mint).with_provider_caches(caches))),
            Self::Folder(folder) => {
                let mut options =
                    sqlite::Options::new(folder).clock(clock).mint(mint).provider_caches(caches);
                if let Some(key) = master_key {
                    options = options.master_key(key);
                }
                Ok(Arc::new(SqliteStore::open(options).await?))
            }
        }
    }

    /// Opens a database; of what else was to be kept, a folder is where its master key is.
    pub(super) async fn open_database(
        self,
        options: postgres::Options,
        opening: Opening,
    ) -> Result<Arc<dyn Store>, StartError> {
        let Opening { master_key, clock, mint, caches } = opening;
        let mut options = options.clock(clock).mint(mint).provider_caches(caches);
        if let Some(key) = master_key {
            options = options.master_key(key);
        }
        if let Self::Folder(folder) = self {
            options = options.folder(folder);
        }
        let address = options.address().clone();
        match PostgresStore::open(options).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(StartError::Database { address: Box::new(address), source: Box::new(error) }),
        }
    }
}
