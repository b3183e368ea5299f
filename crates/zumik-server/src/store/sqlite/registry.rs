//! Projects and keys of a data folder, also while a server runs on it: what `zumik keys` and `zumik receipt-keys` work
//! with.

use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, TransactionBehavior};
use zumik_types::{KeyId, ProjectId, ReceiptKey};

use super::db::Sql;
use super::folder::DataFolder;
use super::{OpenError, connection, receipts};
use crate::mint::RandomMint;
use crate::seal::MasterKey;
use crate::store::{KeyRecord, NewKey, Project, Result};

/// The projects and keys of a data folder. It takes no lock and needs no master key; a server that runs on
/// the folder sees each change with its next request.
pub struct Registry {
    conn: Connection,
    folder: DataFolder,
    mint: RandomMint,
}

/// A key that signs receipts and reports, or once did.
#[derive(Debug, Clone)]
pub struct ReceiptKeyRecord {
    /// Its public half, as the API lists it.
    pub key: ReceiptKey,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whether it signs now.
    pub active: bool,
}

impl Registry {
    /// Opens a data folder that a server of this version has been started on. Nothing of it is changed.
    ///
    /// # Errors
    /// There is no database in it, or one that is foreign, damaged, or of another version.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let folder = DataFolder::at(folder);
        let conn = connection::open_current(&folder.database())?;
        Ok(Self { conn, folder, mint: RandomMint::default() })
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

    /// Revokes a key: it stops working at once.
    ///
    /// # Errors
    /// There is no such key, or the database cannot be written.
    pub fn revoke_key(&mut self, key: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        self.write(|sql, _| sql.revoke_key(key, now))
    }

    /// The keys that sign receipts and reports, newest first. The first one signs; the others are listed so that what they
    /// signed still verifies.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn receipt_keys(&self) -> Result<Vec<ReceiptKeyRecord>> {
        receipts::receipt_keys(Sql::new(&self.conn))
    }

    /// Makes a new key that signs from now on, also in a server that runs on the folder. It is sealed with the master key
    /// given, else with that of the folder.
    ///
    /// # Errors
    /// The master key is missing or the wrong one, or the database cannot be written.
    pub fn rotate_receipt_key(
        &mut self,
        key: Option<MasterKey>,
        now: DateTime<Utc>,
    ) -> Result<(), OpenError> {
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let vault = super::vault(&transaction, &self.folder, key, &self.mint)?;
        receipts::new_key(&vault, &self.mint, &transaction, now)?;
        Ok(transaction.commit()?)
    }

    fn write<T>(&mut self, work: impl FnOnce(&Sql<'_>, &RandomMint) -> Result<T>) -> Result<T> {
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&Sql::new(&transaction), &self.mint)?;
        transaction.commit()?;
        Ok(value)
    }
}
