//! The projects and keys that `zumik keys` works on: those of a data folder, or of a PostgreSQL database.

use chrono::{DateTime, Utc};
use zumik_client::types::{KeyId, ProjectId};
use zumik_server::config::StoreUrl;
use zumik_server::store::postgres::{self, OpenError, PostgresStore};
use zumik_server::store::{KeyRecord, NewKey, Project, Store as _, StoreError, sqlite};

use crate::args::{DataArgs, StoreArgs};
use crate::data;
use crate::failure::{self, Failure};

/// The projects and keys of a server, also while it runs.
pub(crate) enum Registry {
    /// Of the server of a data folder.
    Folder(sqlite::Registry),
    /// Of the servers of a database.
    Database(PostgresStore),
}

impl Registry {
    /// Opens the database that options, environment or the folder's `zumik.toml` name, else the folder: as it is, nothing
    /// is migrated or made.
    pub(crate) async fn open(data: &DataArgs, store: &StoreArgs) -> Result<Self, Failure> {
        let folder = data::folder(data)?;
        let url = match &store.url {
            Some(url) => Some(StoreUrl::new(url)),
            None => data::store(&folder)?,
        };
        let Some(url) = url else { return data::registry(data).map(Self::Folder) };
        let address = url.address().map_err(|error| Failure::usage(format_args!("the store: {error}")))?;
        let refused = format!("cannot use {address}");
        let mut options = postgres::Options::new(address).folder(folder).connections(1).existing();
        if let Some(key) = data::master_key()? {
            options = options.master_key(key);
        }
        let store = PostgresStore::open(options).await;
        store.map(Self::Database).map_err(|error| refusal(&refused, &error))
    }

    pub(crate) async fn ensure_project(
        &mut self,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Project, StoreError> {
        match self {
            Self::Folder(registry) => registry.ensure_project(name, now),
            Self::Database(store) => store.ensure_project(name, now).await,
        }
    }

    pub(crate) async fn create_key(
        &mut self,
        project: &ProjectId,
        key: NewKey,
        now: DateTime<Utc>,
    ) -> Result<KeyRecord, StoreError> {
        match self {
            Self::Folder(registry) => registry.create_key(project, &key, now),
            Self::Database(store) => store.create_key(project, key, now).await,
        }
    }

    pub(crate) async fn list_keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        match self {
            Self::Folder(registry) => registry.list_keys(None),
            Self::Database(store) => store.list_keys(None).await,
        }
    }

    pub(crate) async fn revoke_key(
        &mut self,
        key: &KeyId,
        now: DateTime<Utc>,
    ) -> Result<KeyRecord, StoreError> {
        match self {
            Self::Folder(registry) => registry.revoke_key(key, now),
            Self::Database(store) => store.revoke_key(key, now).await,
        }
    }
}

/// Why a database cannot be used, and the way out, where there is one.
fn refusal(what: &str, error: &OpenError) -> Failure {
    match error {
        OpenError::Older { .. } | OpenError::NoData => {
            Failure::failed(format_args!("{what}: {}; {}", failure::chain(error), data::FIRST_START))
        }
        _ => Failure::because(what, error),
    }
}
