//! Files.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rusqlite::{Row, params};
use zumik_types::{Extra, File, FileId, FileStatus, ObjectType, SortOrder};

use super::Db;
use crate::store::batch_rules::{FILES_OF_A_BATCH, shown};
use crate::store::durable::files::SealedFile;
use crate::store::durable::ids::{file_id, file_key};
use crate::store::durable::place;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::check_file_limits;
use crate::store::{FilePage, Kind, Page, ProjectCtx, Result, StoreError};

const COLUMNS: &str = "public_id, bytes, created_at, filename, purpose, expires_at FROM files";

impl Db<'_> {
    pub(super) fn upload_file(&self, ctx: &ProjectCtx, new: &SealedFile) -> Result<File> {
        let project = self.project(ctx)?;
        let (files, bytes) = self.stored_files(project, ctx.now)?;
        let promised = FILES_OF_A_BATCH * self.open_batches(project)?;
        check_file_limits(files + promised, bytes, new.file.bytes)?;
        self.insert_file(project, new)?;
        Ok(shown(new.file.clone()))
    }

    /// How many files a project has, and how many bytes.
    pub(super) fn stored_files(&self, project: i64, now: DateTime<Utc>) -> Result<(u64, u64)> {
        let stored = self.one(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM files
             WHERE project = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
            params![project, seconds(now)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(stored.unwrap_or_default())
    }

    pub(super) fn insert_file(&self, project: i64, new: &SealedFile) -> Result<()> {
        let content = self.insert_content(&new.content)?;
        self.run(
            "INSERT INTO files (public_id, project, filename, purpose, bytes, created_at, expires_at, content)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                new.key,
                project,
                new.file.filename,
                new.file.purpose,
                new.file.bytes,
                seconds(new.file.created_at),
                new.file.expires_at.map(seconds),
                content,
            ],
        )?;
        Ok(())
    }

    pub(super) fn list_files(&self, ctx: &ProjectCtx, page: &FilePage) -> Result<Page<File>> {
        let ascending = page.order == SortOrder::Asc;
        let after: Option<i64> = match &page.after {
            None => None,
            Some(id) => Some(self.file(ctx, id)?.map(|(row, _)| row).ok_or_else(|| {
                StoreError::reference("after", format!("no file with id '{id}' exists in this project"))
            })?),
        };
        let (comparison, order) = if ascending { (">", "ASC") } else { ("<", "DESC") };
        let sql = format!(
            "SELECT {COLUMNS} WHERE project = ?1 AND (expires_at IS NULL OR expires_at > ?2)
               AND (?3 IS NULL OR purpose = ?3) AND (?4 IS NULL OR id {comparison} ?4)
             ORDER BY id {order} LIMIT ?5"
        );
        // One more than asked for tells whether more remain.
        let limit = page.limit.map_or(-1, |limit| i64::from(limit) + 1);
        let params = params![self.project(ctx)?, seconds(ctx.now), page.purpose, after, limit];
        let mut data = self.all(&sql, params, read)?;
        let wanted = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let has_more = data.len() > wanted;
        data.truncate(wanted);
        Ok(Page { data, has_more })
    }

    pub(super) fn retrieve_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<File> {
        let (row, _) = self.file(ctx, id)?.ok_or_else(|| StoreError::not_found(Kind::File, id))?;
        let sql = format!("SELECT {COLUMNS} WHERE id = ?1");
        self.one(&sql, [row], read)?.ok_or_else(|| StoreError::not_found(Kind::File, id))
    }

    pub(super) fn retrieve_file_content(&self, ctx: &ProjectCtx, id: &FileId) -> Result<Bytes> {
        let missing = || StoreError::not_found(Kind::File, id);
        let key = file_key(id).ok_or_else(missing)?;
        let (_, content) = self.file(ctx, id)?.ok_or_else(missing)?;
        Ok(self.open_content(content, &place("file", &key))?.into())
    }

    pub(super) fn delete_file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<()> {
        let (row, _) = self.file(ctx, id)?.ok_or_else(|| StoreError::not_found(Kind::File, id))?;
        self.erase_file(row)
    }

    /// Removes a file with its bytes.
    pub(super) fn erase_file(&self, row: i64) -> Result<()> {
        let content: Option<i64> =
            self.one("SELECT content FROM files WHERE id = ?1", [row], |row| row.get(0))?;
        self.erase_content(content)?;
        self.run("DELETE FROM files WHERE id = ?1", [row])?;
        Ok(())
    }

    /// Row and content of a file that has not expired.
    fn file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<Option<(i64, i64)>> {
        self.one(
            "SELECT id, content FROM files
             WHERE public_id = ?1 AND project = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
            params![file_key(id), self.project(ctx)?, seconds(ctx.now)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<File> {
    Ok(shown(File {
        id: file_id(row.get(0)?),
        object: ObjectType::File,
        bytes: row.get(1)?,
        created_at: time(row.get(2)?),
        filename: row.get(3)?,
        purpose: row.get(4)?,
        status: Some(FileStatus::Processed),
        expires_at: row.get::<_, Option<i64>>(5)?.map(time),
        extra: Extra::new(),
    }))
}
