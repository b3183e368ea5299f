//! Reads: each on a connection of its own, within one transaction, so it sees one moment.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::open_reader;
use super::{Db, Env};
use crate::store::{Result, StoreError};

/// Reads at one time, and connections kept open while idle. Reads in line are not counted: there are as many
/// as there are threads that serve requests.
const READERS: usize = 8;

/// Connections for reading, opened when they are needed.
pub(super) struct Readers {
    path: PathBuf,
    env: Arc<Env>,
    /// Nothing once closed.
    idle: Mutex<Option<Vec<Connection>>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(path: PathBuf, env: Arc<Env>) -> Self {
        Self { path, env, idle: Mutex::new(Some(Vec::new())), permits: Semaphore::new(READERS) }
    }

    /// Reads in line. For one short query.
    pub(super) fn now<T>(&self, read: impl FnOnce(&Db<'_>) -> Result<T>) -> Result<T> {
        let conn = match &mut *self.idle.lock() {
            Some(idle) => idle.pop(),
            None => return Err(closed()),
        };
        let conn = match conn {
            Some(conn) => conn,
            None => open_reader(&self.path)?,
        };
        let result = {
            let transaction = conn.unchecked_transaction()?;
            read(&Db::new(&transaction, &self.env))
        };
        if let Some(idle) = &mut *self.idle.lock()
            && idle.len() < READERS
        {
            idle.push(conn);
        }
        result
    }

    /// Reads on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Db<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _permit = self.permits.acquire().await.map_err(StoreError::unavailable)?;
        let readers = Arc::clone(self);
        tokio::task::spawn_blocking(move || readers.now(read)).await.map_err(StoreError::internal)?
    }

    /// Closes the idle connections; those in use are closed when their read ends.
    pub(super) fn close(&self) {
        self.idle.lock().take();
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("the store is closed")
}
