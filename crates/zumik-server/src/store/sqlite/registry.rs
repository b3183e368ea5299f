//! Projects and keys of a data folder, also while a server runs on it: what `zumik keys` works with.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, TransactionBehavior};
use zumik_types::{KeyId, ProjectId};

use super::db::Sql;
use super::folder::DataFolder;
use super::{OpenError, connection};
use crate::mint::RandomMint;
use crate::store::{KeyRecord, NewKey, Project, Result};

/// The projects and keys of a data folder. It takes no lock and needs no master key; a server that runs on
/// the folder sees each change with its next request.
pub struct Registry {
    conn: Connection,
    mint: RandomMint,
}

impl Registry {
    /// Opens a data folder, made when it is missing.
    ///
    /// # Errors
    /// Its files are foreign, newer or damaged.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let conn = connection::open_writer(&DataFolder::open(folder)?.database())?;
        Ok(Self { conn, mint: RandomMint::default() })
    }

    /// The project of this name, made when there is none.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn ensure_project(&mut self, name: &str, now: DateTime<Utc>) -> Result<Project> {
        self.write(|sql, mint| sql.ensure_project(mint, name, now))
    }

    /// The project of this name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn find_project(&self, name: &str) -> Result<Option<Project>> {
        Sql::new(&self.conn).find_project(name)
    }

    /// Registers a key.
    ///
    /// # Errors
    /// As [`Store::create_key`](crate::store::Store::create_key).
    pub fn create_key(&mut self, project: &ProjectId, key: &NewKey, now: DateTime<Utc>) -> Result<KeyRecord> {
        self.write(|sql, mint| sql.create_key(mint, project, key, now))
    }

    /// All keys of a project, or of the folder, oldest first, revoked ones included.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list_keys(&self, project: Option<&ProjectId>) -> Result<Vec<KeyRecord>> {
        Sql::new(&self.conn).list_keys(project)
    }

    /// Removes the key's hash: it stops working at once.
    ///
    /// # Errors
    /// There is no such key, or the database cannot be written.
    pub fn revoke_key(&mut self, key: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        self.write(|sql, _| sql.revoke_key(key, now))
    }

    fn write<T>(&mut self, work: impl FnOnce(&Sql<'_>, &RandomMint) -> Result<T>) -> Result<T> {
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&Sql::new(&transaction), &self.mint)?;
        transaction.commit()?;
        Ok(value)
    }
}
