//! Files.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use zumik_types::{Extra, File, FileId, FileStatus, ObjectType, SortOrder};

use super::db::{Db, Env, Param, bytes, count, stored, text};
use crate::store::batch_rules::{FILES_OF_A_BATCH, shown};
use crate::store::durable::files::SealedFile;
use crate::store::durable::ids::{file_id, file_key};
use crate::store::durable::place;
use crate::store::durable::times::{seconds, time};
use crate::store::rules::check_file_limits;
use crate::store::{FilePage, Kind, Page, ProjectCtx, Result, StoreError};

/// The content of a file as it was read: not copied, for it may be large.
pub(super) struct StoredContent {
    key: [u8; 12],
    row: Row,
}

impl StoredContent {
    pub(super) fn open(self, env: &Env) -> Result<Bytes> {
        Ok(env.vault.open(&place("file", &self.key), self.row.try_get(0)?)?.into())
    }
}

const COLUMNS: &str = "public_id, bytes, created_at, filename, purpose, expires_at FROM files";

/// A page of the files of project `$1`: `$6` of those between rows `$4` and `$5`. Project and row are compared as one: else
/// the planner may walk the files of all projects.
pub(super) fn page_sql(order: &SortOrder) -> String {
    let order = if *order == SortOrder::Asc { "ASC" } else { "DESC" };
    format!(
        "SELECT {COLUMNS} WHERE {LIVE} AND ($3::bytea IS NULL OR purpose = $3)
           AND (project, id) > ($1, $4) AND (project, id) < ($1, $5)
         ORDER BY project {order}, id {order} LIMIT $6"
    )
}

/// What a file must be to be shown.
const LIVE: &str = "project = $1 AND (expires_at IS NULL OR expires_at > $2)";

impl Db<'_, '_> {
    pub(super) async fn upload_file(&self, ctx: &ProjectCtx, new: &SealedFile) -> Result<File> {
        let project = self.project(ctx).await?;
        self.hold_files(project).await?;
        let (files, bytes) = self.stored_files(project, ctx.now).await?;
        let promised = FILES_OF_A_BATCH * self.open_batches(project).await?;
        check_file_limits(files + promised, bytes, new.file.bytes)?;
        self.insert_file(project, new).await?;
        Ok(shown(new.file.clone()))
    }

    /// Lets one after the other change how many files a project has or will have, so that none overlooks another.
    pub(super) async fn hold_files(&self, project: i64) -> Result<()> {
        self.run("SELECT 1 FROM projects WHERE id = $1 FOR NO KEY UPDATE", &[&project]).await?;
        Ok(())
    }

    /// How many files a project has, and how many bytes.
    pub(super) async fn stored_files(&self, project: i64, now: DateTime<Utc>) -> Result<(u64, u64)> {
        let sql = format!("SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM files WHERE {LIVE}");
        let stored =
            self.one(&sql, &[&project, &seconds(now)], |row| Ok((count(row, 0)?, count(row, 1)?))).await?;
        Ok(stored.unwrap_or_default())
    }

    pub(super) async fn insert_file(&self, project: i64, new: &SealedFile) -> Result<()> {
        self.run(
            "INSERT INTO files (public_id, project, filename, purpose, bytes, created_at, expires_at, content)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                &&new.key[..],
                &project,
                &new.file.filename.as_bytes(),
                &new.file.purpose.as_bytes(),
                &stored(new.file.bytes),
                &seconds(new.file.created_at),
                &new.file.expires_at.map(seconds),
                &new.content,
            ],
        )
        .await?;
        Ok(())
    }

    pub(super) async fn list_files(&self, ctx: &ProjectCtx, page: &FilePage) -> Result<Page<File>> {
        let project = self.project(ctx).await?;
        let after: Option<i64> = match &page.after {
            None => None,
            Some(id) => Some(self.file_row(ctx, id).await?.ok_or_else(|| {
                StoreError::reference("after", format!("no file with id '{id}' exists in this project"))
            })?),
        };
        let (first, last) = match page.order {
            SortOrder::Asc => (after.unwrap_or(0), i64::MAX),
            _ => (0, after.unwrap_or(i64::MAX)),
        };
        // One more than asked for tells whether more remain.
        let limit = page.limit.map(|limit| i64::from(limit) + 1);
        let purpose = page.purpose.as_deref().map(str::as_bytes);
        let params: &[Param<'_>] = &[&project, &seconds(ctx.now), &purpose, &first, &last, &limit];
        let mut data = self.all(&page_sql(&page.order), params, read).await?;
        let wanted = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let has_more = data.len() > wanted;
        data.truncate(wanted);
        Ok(Page { data, has_more })
    }

    pub(super) async fn retrieve_file(&self, ctx: &ProjectCtx, file: &FileId) -> Result<File> {
        let sql = format!("SELECT {COLUMNS} WHERE {LIVE} AND public_id = $3");
        let project = self.project(ctx).await?;
        self.one(&sql, &[&project, &seconds(ctx.now), &public_key(file)], read)
            .await?
            .ok_or_else(|| StoreError::not_found(Kind::File, file))
    }

    pub(super) async fn file_content(&self, ctx: &ProjectCtx, file: &FileId) -> Result<StoredContent> {
        let missing = || StoreError::not_found(Kind::File, file);
        let key = file_key(file).ok_or_else(missing)?;
        let sql = format!("SELECT content FROM files WHERE {LIVE} AND public_id = $3");
        let project = self.project(ctx).await?;
        let params: &[Param<'_>] = &[&project, &seconds(ctx.now), &&key[..]];
        let found = self.one(&sql, params, |row| Ok(StoredContent { key, row: row.clone() })).await?;
        found.ok_or_else(missing)
    }

    pub(super) async fn delete_file(&self, ctx: &ProjectCtx, file: &FileId) -> Result<()> {
        let sql = format!("DELETE FROM files WHERE {LIVE} AND public_id = $3");
        let project = self.project(ctx).await?;
        match self.run(&sql, &[&project, &seconds(ctx.now), &public_key(file)]).await? {
            0 => Err(StoreError::not_found(Kind::File, file)),
            _ => Ok(()),
        }
    }

    /// The row of a file that has not expired.
    async fn file_row(&self, ctx: &ProjectCtx, file: &FileId) -> Result<Option<i64>> {
        let sql = format!("SELECT id FROM files WHERE {LIVE} AND public_id = $3");
        let project = self.project(ctx).await?;
        self.one(&sql, &[&project, &seconds(ctx.now), &public_key(file)], |row| Ok(row.try_get(0)?)).await
    }
}

fn public_key(file: &FileId) -> Option<Vec<u8>> {
    file_key(file).map(|key| key.to_vec())
}

fn read(row: &Row) -> Result<File> {
    Ok(shown(File {
        id: file_id(bytes(row.try_get(0)?)?),
        object: ObjectType::File,
        bytes: count(row, 1)?,
        created_at: time(row.try_get(2)?),
        filename: text(row, 3)?,
        purpose: text(row, 4)?,
        status: Some(FileStatus::Processed),
        expires_at: row.try_get::<_, Option<i64>>(5)?.map(time),
        extra: Extra::new(),
    }))
}
