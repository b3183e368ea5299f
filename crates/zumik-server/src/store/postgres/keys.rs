//! Projects and keys.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio_postgres::Row;
use zumik_types::{KeyId, ProjectId};

use super::PostgresStore;
use super::db::{Db, id, key, text};
use crate::domain::Scopes;
use crate::store::durable::ids::PublicId as _;
use crate::store::durable::times::{seconds, time};
use crate::store::{Caller, KeyRecord, Kind, NewKey, Project, Result, StoreError};

/// How long a key is taken for valid without asking again: so long after its revocation another replica may still
/// accept it.
const TRUST: Duration = Duration::from_secs(1);

/// Keys that are remembered at most.
const CALLERS: usize = 4096;

const KEY_COLUMNS: &str = "k.public_id, p.public_id, k.name, k.masked, k.scopes, k.created_at, k.revoked_at
    FROM api_keys k JOIN projects p ON p.id = k.project";

/// Keys that were asked for within the last second, by their hash. Only keys that are valid: a new one counts at once.
#[derive(Default)]
pub(super) struct Callers(Mutex<HashMap<[u8; 32], (Instant, Caller)>>);

impl Callers {
    fn recent(&self, hash: &[u8; 32]) -> Option<Caller> {
        let callers = self.0.lock();
        callers.get(hash).filter(|(asked, _)| asked.elapsed() < TRUST).map(|(_, caller)| caller.clone())
    }

    /// `asked` is a moment before the database was asked.
    fn remember(&self, hash: [u8; 32], asked: Instant, caller: Caller) {
        let mut callers = self.0.lock();
        if callers.len() >= CALLERS {
            callers.retain(|_, (asked, _)| asked.elapsed() < TRUST);
        }
        if callers.len() < CALLERS {
            callers.insert(hash, (asked, caller));
        }
    }

    /// Forgets all keys: one of them was revoked here.
    fn forget(&self) {
        self.0.lock().clear();
    }
}

impl PostgresStore {
    /// Whom a key belongs to.
    pub(super) async fn caller(&self, hash: &[u8; 32]) -> Result<Option<Caller>> {
        if let Some(caller) = self.callers.recent(hash) {
            return Ok(Some(caller));
        }
        let asked = Instant::now();
        let connection = self.connection().await?;
        let statement = connection
            .prepare_cached(
                "SELECT p.id, p.public_id, k.public_id, k.scopes
                 FROM api_keys k JOIN projects p ON p.id = k.project
                 WHERE k.hash = $1 AND k.revoked_at IS NULL",
            )
            .await?;
        let Some(row) = connection.query_opt(&statement, &[&&hash[..]]).await? else { return Ok(None) };
        let caller = Caller { project: id(&row, 1)?, key: id(&row, 2)?, scopes: scopes(&row, 3)? };
        self.env.project_rows.write().entry(caller.project.clone()).or_insert(row.try_get(0)?);
        self.callers.remember(*hash, asked, caller.clone());
        Ok(Some(caller))
    }

    /// Revokes a key; this replica refuses it from now on, the others within [`TRUST`].
    pub(super) async fn revoke(&self, key: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        let revoked = self.write(|db| Box::pin(db.revoke_key(key, now))).await;
        self.callers.forget();
        revoked
    }
}

impl Db<'_, '_> {
    pub(super) async fn ensure_project(&self, name: &str, now: DateTime<Utc>) -> Result<Project> {
        if let Some(project) = self.find_project(name).await? {
            return Ok(project);
        }
        let public_id = self.env.mint.ulid(now).to_bytes();
        self.run(
            "INSERT INTO projects (public_id, name, created_at) VALUES ($1, $2, $3)",
            &[&&public_id[..], &name, &seconds(now)],
        )
        .await?;
        Ok(Project {
            id: ProjectId::from_key(public_id),
            name: name.to_owned(),
            created_at: time(seconds(now)),
        })
    }

    pub(super) async fn find_project(&self, name: &str) -> Result<Option<Project>> {
        self.one("SELECT public_id, name, created_at FROM projects WHERE name = $1", &[&name], |row| {
            Ok(Project { id: id(row, 0)?, name: row.try_get(1)?, created_at: time(row.try_get(2)?) })
        })
        .await
    }

    pub(super) async fn create_key(
        &self,
        project: &ProjectId,
        new: &NewKey,
        now: DateTime<Utc>,
    ) -> Result<KeyRecord> {
        let row: Option<i64> = self
            .one("SELECT id FROM projects WHERE public_id = $1", &[&key(project)], |row| Ok(row.try_get(0)?))
            .await?;
        let row = row.ok_or_else(|| StoreError::not_found(Kind::Project, project))?;
        let sql = format!("SELECT {KEY_COLUMNS} WHERE k.hash = $1");
        if let Some(present) = self.one(&sql, &[&&new.hash[..]], read_key).await? {
            if present.project == *project {
                return Ok(present);
            }
            return Err(StoreError::reference("key", "this key belongs to another project"));
        }
        let public_id = self.env.mint.ulid(now).to_bytes();
        self.run(
            "INSERT INTO api_keys (public_id, project, hash, name, masked, scopes, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &&public_id[..],
                &row,
                &&new.hash[..],
                &new.name.as_bytes(),
                &new.masked,
                &i64::from(new.scopes.bits()),
                &seconds(now),
            ],
        )
        .await?;
        self.key_record(&KeyId::from_key(public_id)).await
    }

    pub(super) async fn list_keys(&self, project: Option<&ProjectId>) -> Result<Vec<KeyRecord>> {
        match project {
            None => self.all(&format!("SELECT {KEY_COLUMNS} ORDER BY k.id"), &[], read_key).await,
            Some(project) => {
                let sql = format!("SELECT {KEY_COLUMNS} WHERE p.public_id = $1 ORDER BY k.id");
                self.all(&sql, &[&key(project)], read_key).await
            }
        }
    }

    async fn revoke_key(&self, id: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        self.run(
            "UPDATE api_keys SET revoked_at = $2 WHERE public_id = $1 AND revoked_at IS NULL",
            &[&key(id), &seconds(now)],
        )
        .await?;
        self.key_record(id).await
    }

    async fn key_record(&self, id: &KeyId) -> Result<KeyRecord> {
        self.one(&format!("SELECT {KEY_COLUMNS} WHERE k.public_id = $1"), &[&key(id)], read_key)
            .await?
            .ok_or_else(|| StoreError::not_found(Kind::Key, id))
    }
}

fn scopes(row: &Row, at: usize) -> Result<Scopes> {
    Ok(Scopes::from_bits(row.try_get::<_, i64>(at)?.try_into().map_err(StoreError::internal)?))
}

fn read_key(row: &Row) -> Result<KeyRecord> {
    Ok(KeyRecord {
        id: id(row, 0)?,
        project: id(row, 1)?,
        name: text(row, 2)?,
        masked: row.try_get(3)?,
        scopes: scopes(row, 4)?,
        created_at: time(row.try_get(5)?),
        revoked_at: row.try_get::<_, Option<i64>>(6)?.map(time),
    })
}
