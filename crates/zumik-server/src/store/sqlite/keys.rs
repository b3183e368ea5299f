//! Projects and keys.

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};
use zumik_types::{KeyId, ProjectId};

use super::db::Sql;
use crate::domain::Scopes;
use crate::mint::Mint;
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::{seconds, time};
use crate::store::{Caller, KeyRecord, Kind, NewKey, Project, Result, StoreError};

const KEY_COLUMNS: &str = "k.public_id, p.public_id, k.name, k.masked, k.scopes, k.created_at, k.revoked_at
    FROM api_keys k JOIN projects p ON p.id = k.project";

impl Sql<'_> {
    /// Whom a key belongs to, and the row of its project.
    pub(super) fn authenticate(&self, hash: &[u8; 32]) -> Result<Option<(Caller, i64)>> {
        self.one(
            "SELECT p.id, p.public_id, k.public_id, k.scopes
             FROM api_keys k JOIN projects p ON p.id = k.project
             WHERE k.hash = ?1 AND k.revoked_at IS NULL",
            [hash],
            |row| {
                let caller = Caller {
                    project: ProjectId::from_key(row.get(1)?),
                    key: KeyId::from_key(row.get(2)?),
                    scopes: Scopes::from_bits(row.get(3)?),
                };
                Ok((caller, row.get(0)?))
            },
        )
    }

    pub(super) fn ensure_project(&self, mint: &dyn Mint, name: &str, now: DateTime<Utc>) -> Result<Project> {
        if let Some(project) = self.find_project(name)? {
            return Ok(project);
        }
        let key = mint.ulid(now).to_bytes();
        self.run(
            "INSERT INTO projects (public_id, name, created_at) VALUES (?1, ?2, ?3)",
            params![key, name, seconds(now)],
        )?;
        Ok(Project { id: ProjectId::from_key(key), name: name.to_owned(), created_at: time(seconds(now)) })
    }

    pub(super) fn find_project(&self, name: &str) -> Result<Option<Project>> {
        self.one("SELECT public_id, name, created_at FROM projects WHERE name = ?1", [name], |row| {
            Ok(Project {
                id: ProjectId::from_key(row.get(0)?),
                name: row.get(1)?,
                created_at: time(row.get(2)?),
            })
        })
    }

    pub(super) fn create_key(
        &self,
        mint: &dyn Mint,
        project: &ProjectId,
        new: &NewKey,
        now: DateTime<Utc>,
    ) -> Result<KeyRecord> {
        let missing = || StoreError::not_found(Kind::Project, project);
        let row: Option<i64> = match project.key() {
            Some(key) => self.one("SELECT id FROM projects WHERE public_id = ?1", [key], |row| row.get(0))?,
            None => None,
        };
        let row = row.ok_or_else(missing)?;
        let present = self.one(&format!("SELECT {KEY_COLUMNS} WHERE k.hash = ?1"), [new.hash], read_key)?;
        if let Some(present) = present {
            if present.project == *project {
                return Ok(present);
            }
            return Err(StoreError::reference("key", "this key belongs to another project"));
        }
        let key = mint.ulid(now).to_bytes();
        self.run(
            "INSERT INTO api_keys (public_id, project, hash, name, masked, scopes, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![key, row, new.hash, new.name, new.masked, new.scopes.bits(), seconds(now)],
        )?;
        self.key_record(&KeyId::from_key(key))
    }

    pub(super) fn list_keys(&self, project: Option<&ProjectId>) -> Result<Vec<KeyRecord>> {
        match project {
            None => self.all(&format!("SELECT {KEY_COLUMNS} ORDER BY k.id"), [], read_key),
            Some(project) => match project.key() {
                None => Ok(Vec::new()),
                Some(key) => {
                    let sql = format!("SELECT {KEY_COLUMNS} WHERE p.public_id = ?1 ORDER BY k.id");
                    self.all(&sql, [key], read_key)
                }
            },
        }
    }

    pub(super) fn revoke_key(&self, id: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        self.run(
            "UPDATE api_keys SET revoked_at = ?2 WHERE public_id = ?1 AND revoked_at IS NULL",
            params![id.key(), seconds(now)],
        )?;
        self.key_record(id)
    }

    fn key_record(&self, id: &KeyId) -> Result<KeyRecord> {
        self.one(&format!("SELECT {KEY_COLUMNS} WHERE k.public_id = ?1"), [id.key()], read_key)?
            .ok_or_else(|| StoreError::not_found(Kind::Key, id))
    }
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        id: KeyId::from_key(row.get(0)?),
        project: ProjectId::from_key(row.get(1)?),
        name: row.get(2)?,
        masked: row.get(3)?,
        scopes: Scopes::from_bits(row.get(4)?),
        created_at: time(row.get(5)?),
        revoked_at: row.get::<_, Option<i64>>(6)?.map(time),
    })
}
