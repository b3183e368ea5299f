//! Batches of the model.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use zumik_types::{
    Batch, BatchErrors, BatchId, BatchStatus, CreateBatchRequest, Extra, File, FileId, FileStatus, KeyId,
    ObjectType, ProjectId,
};

use super::state::{FileEntry, State};
use super::{MemoryStore, plain};
use crate::domain::{BatchInput, InputLine, Scopes};
use crate::store::batch_results::{LineResult, Unanswered};
use crate::store::batch_rules::{self, check_batch_room};
use crate::store::rules::{missing_after, whole_seconds};
use crate::store::{
    Advanced, BATCH_LIFETIME, BatchPage, BatchStore, COMPLETION_WINDOW, ClaimedLine, Idempotency, Kind,
    LineLease, LineOutcome, MOST_WAITING, OUTPUT_LIFETIME, Page, ProjectCtx, Result, SOON, StoreError,
    Written,
};

pub(super) struct BatchEntry {
    pub(super) project: ProjectId,
    pub(super) key: KeyId,
    pub(super) scopes: Scopes,
    pub(super) batch: Batch,
    faulty: Option<BatchErrors>,
    pub(super) lines: Vec<LineEntry>,
    pub(super) result_bytes: u64,
    pub(super) served_at: i64,
    ended_at: Option<DateTime<Utc>>,
}

pub(super) struct LineEntry {
    pub(super) row: i64,
    pub(super) id: String,
    pub(super) custom_id: String,
    pub(super) body: Bytes,
    pub(super) attempts: u32,
    pub(super) epoch: u64,
    /// In milliseconds: from when it may run; of a running one, when its lease ends.
    pub(super) due: i64,
    pub(super) state: LineState,
}

pub(super) enum LineState {
    Waiting,
    Running,
    Settled(LineResult),
}

impl LineEntry {
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, LineState::Settled(_))
    }

    pub(super) fn is_due(&self, now: i64) -> bool {
        self.is_open() && self.due <= now
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, LineState::Running)
    }
}

impl BatchEntry {
    pub(super) fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    pub(super) fn expires_at(&self) -> DateTime<Utc> {
        self.batch.created_at + COMPLETION_WINDOW
    }

    pub(super) fn has_status(&self, status: BatchStatus) -> bool {
        self.batch.status == status
    }

    /// When the first of its waiting lines is due, in milliseconds, if so many wait that no other line is begun.
    pub(super) fn held_up_until(&self, now: i64) -> Option<i64> {
        let near = now + 1..=now + SOON.num_milliseconds();
        let waiting = self.lines.iter().filter(|line| matches!(line.state, LineState::Waiting));
        let mut due: Vec<_> = waiting.map(|line| line.due).filter(|due| near.contains(due)).collect();
        due.sort_unstable();
        due.first().copied().filter(|_| due.len() >= MOST_WAITING as usize)
    }

    /// The status that it ends with now, if it can.
    pub(super) fn end(&self, now: DateTime<Utc>) -> Option<BatchStatus> {
        let idle = || !self.lines.iter().any(|line| line.is_running() && line.due > now.timestamp_millis());
        match self.batch.status {
            BatchStatus::Finalizing => Some(BatchStatus::Completed),
            BatchStatus::Cancelling if idle() => Some(BatchStatus::Cancelled),
            BatchStatus::InProgress if self.expires_at() <= now && idle() => Some(BatchStatus::Expired),
            _ => None,
        }
    }

    /// The texts of output and error file.
    fn files(&self, end: &BatchStatus) -> Result<(Vec<u8>, Vec<u8>)> {
        let why = if *end == BatchStatus::Expired { Unanswered::Expired } else { Unanswered::Cancelled };
        let (mut output, mut errors, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        for line in &self.lines {
            match &line.state {
                LineState::Settled(result) if result.completed => output.extend(&result.text),
                LineState::Settled(result) => errors.extend(&result.text),
                _ => unanswered.extend(why.text(&line.id, &line.custom_id)?),
            }
        }
        errors.extend(unanswered);
        Ok((output, errors))
    }
}

#[async_trait]
impl BatchStore for MemoryStore {
    async fn create_batch(
        &self,
        ctx: &ProjectCtx,
        request: CreateBatchRequest,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>> {
        self.state()?.keyed(ctx, key, |state| plain(state.create_batch(ctx, request)))
    }

    async fn list_batches(&self, ctx: &ProjectCtx, page: BatchPage) -> Result<Page<Batch>> {
        self.state()?.list_batches(ctx, &page)
    }

    async fn retrieve_batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        Ok(self.state()?.batch(ctx, id)?.batch.clone())
    }

    async fn cancel_batch(
        &self,
        ctx: &ProjectCtx,
        id: &BatchId,
        key: Option<Idempotency>,
    ) -> Result<Written<Batch>> {
        self.state()?.keyed(ctx, key, |state| plain(state.cancel_batch(ctx, id)))
    }

    async fn advance_batches(&self, now: DateTime<Utc>) -> Result<Advanced> {
        self.state()?.advance_batches(now)
    }

    async fn claim_batch_lines(&self, now: DateTime<Utc>, most: u32) -> Result<Vec<ClaimedLine>> {
        Ok(self.state()?.claim_batch_lines(now, most as usize))
    }

    async fn renew_batch_lines(&self, leases: Vec<LineLease>, now: DateTime<Utc>) -> Result<Vec<LineLease>> {
        let mut state = self.state()?;
        Ok(leases.into_iter().filter(|lease| state.renew_batch_line(lease, now).is_err()).collect())
    }

    async fn settle_batch_line(
        &self,
        line: &ClaimedLine,
        outcome: LineOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        self.state()?.settle_batch_line(line, &outcome, now)
    }

    async fn release_batch_lines(&self, leases: Vec<LineLease>) -> Result<()> {
        let mut state = self.state()?;
        for lease in &leases {
            // One that is held no more is another's to give back.
            let _ = state.release_batch_line(lease);
        }
        Ok(())
    }

    async fn next_batch_work(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        Ok(self.state()?.next_batch_work(now))
    }
}

impl State {
    fn create_batch(&mut self, ctx: &ProjectCtx, request: CreateBatchRequest) -> Result<Batch> {
        let file = self.file(ctx, &request.input_file_id);
        let file = file.map_err(|_| batch_rules::missing_input_file(&request.input_file_id))?;
        batch_rules::check_input_purpose(&file.file)?;
        let content = file.content.clone();
        let (files, bytes) = self.stored_files(ctx);
        check_batch_room(files, self.open_batches(&ctx.project), bytes)?;

        let id = BatchId::with_suffix(&self.mint.suffix(ctx.now));
        let input = BatchInput::read(&content, &request.endpoint);
        let faulty = (!input.faults.is_empty()).then(|| batch_rules::batch_errors(input.faults));
        let mut lines = Vec::new();
        for range in input.lines.into_iter().filter(|_| faulty.is_none()) {
            lines.push(self.new_line(ctx, &content[range])?);
        }
        let batch = batch_rules::new_batch(id.clone(), request, input.total, ctx.now);
        let entry = BatchEntry {
            project: ctx.project.clone(),
            key: ctx.key.clone(),
            scopes: ctx.scopes,
            batch: batch.clone(),
            faulty,
            lines,
            result_bytes: 0,
            served_at: 0,
            ended_at: None,
        };
        self.batches.insert(id, entry);
        // In use again: it stays until this batch has ended too.
        if let Some(file) = self.files.get_mut(&batch.input_file_id) {
            file.expires_at = None;
        }
        Ok(batch)
    }

    fn new_line(&mut self, ctx: &ProjectCtx, text: &[u8]) -> Result<LineEntry> {
        let line = InputLine::read(text).ok_or_else(|| StoreError::internal("a batch line is not one"))?;
        self.batch_lines += 1;
        Ok(LineEntry {
            row: self.batch_lines,
            id: batch_rules::line_id(&self.mint.suffix(ctx.now)),
            custom_id: line.custom_id,
            body: Bytes::copy_from_slice(line.body.as_bytes()),
            attempts: 0,
            epoch: 0,
            due: 0,
            state: LineState::Waiting,
        })
    }

    /// Batches of a project that have not ended.
    pub(super) fn open_batches(&self, project: &ProjectId) -> u64 {
        let open = self.batches.values().filter(|entry| entry.project == *project && entry.is_open());
        open.count() as u64
    }

    fn batch(&self, ctx: &ProjectCtx, id: &BatchId) -> Result<&BatchEntry> {
        self.batches
            .get(id)
            .filter(|entry| entry.project == ctx.project)
            .ok_or_else(|| StoreError::not_found(Kind::Batch, id))
    }

    fn list_batches(&self, ctx: &ProjectCtx, page: &BatchPage) -> Result<Page<Batch>> {
        let own = self.batches.values().rev().filter(|entry| entry.project == ctx.project);
        let mut batches: Vec<_> = own.map(|entry| entry.batch.clone()).collect();
        if let Some(id) = &page.after {
            let at = batches.iter().position(|batch| batch.id == *id);
            let at = at.ok_or_else(|| missing_after(Kind::Batch, id))?;
            batches.drain(..=at);
        }
        let limit = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let has_more = batches.len() > limit;
        batches.truncate(limit);
        Ok(Page { data: batches, has_more })
    }

    fn cancel_batch(&mut self, ctx: &ProjectCtx, id: &BatchId) -> Result<Batch> {
        self.batch(ctx, id)?;
        let batch = &mut self.batches[id].batch;
        if batch_rules::may_cancel(&batch.status)? {
            batch.status = BatchStatus::Cancelling;
            batch.cancelling_at = Some(whole_seconds(ctx.now));
        }
        Ok(batch.clone())
    }

    fn advance_batches(&mut self, now: DateTime<Utc>) -> Result<Advanced> {
        let mut advanced = Advanced::default();
        let second = whole_seconds(now);
        let open = self.batches.iter().filter(|(_, entry)| entry.is_open());
        for id in open.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let entry = &mut self.batches[&id];
            if entry.has_status(BatchStatus::Validating) {
                if let Some(errors) = entry.faulty.take() {
                    entry.batch.errors = Some(errors);
                    self.end_batch(&id, BatchStatus::Failed, second)?;
                    advanced.ended += 1;
                    continue;
                }
                entry.batch.status = BatchStatus::InProgress;
                entry.batch.in_progress_at = Some(second);
                advanced.started += 1;
            }
            if let Some(status) = self.batches[&id].end(now) {
                self.end_batch(&id, status, second)?;
                advanced.ended += 1;
            }
        }
        Ok(advanced)
    }

    fn end_batch(&mut self, id: &BatchId, status: BatchStatus, now: DateTime<Utc>) -> Result<()> {
        let entry = &self.batches[id];
        let project = entry.project.clone();
        let (output, errors) = entry.files(&status)?;
        let output = self.write_batch_file(&project, batch_rules::output_file_name(id), output, now);
        let errors = self.write_batch_file(&project, batch_rules::error_file_name(id), errors, now);
        let entry = &mut self.batches[id];
        entry.ended_at = Some(now);
        entry.lines.clear();
        entry.faulty = None;
        entry.batch.output_file_id = output;
        entry.batch.error_file_id = errors;
        batch_rules::end(&mut entry.batch, status, now);
        let input = entry.batch.input_file_id.clone();
        let in_use = self.batches.values().any(|entry| entry.is_open() && entry.batch.input_file_id == input);
        if let Some(file) = self.files.get_mut(&input)
            && !in_use
        {
            file.expires_at = Some(now + OUTPUT_LIFETIME);
        }
        Ok(())
    }

    fn write_batch_file(
        &mut self,
        project: &ProjectId,
        filename: String,
        content: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Option<FileId> {
        if content.is_empty() {
            return None;
        }
        let id = FileId::with_suffix(&self.mint.file_suffix());
        let expires_at = Some(now + OUTPUT_LIFETIME);
        let file = File {
            id: id.clone(),
            object: ObjectType::File,
            bytes: content.len() as u64,
            created_at: now,
            filename,
            purpose: batch_rules::OUTPUT_PURPOSE.to_owned(),
            status: Some(FileStatus::Processed),
            expires_at,
            extra: Extra::new(),
        };
        let entry = FileEntry { project: project.clone(), file, content: content.into(), expires_at };
        self.files.insert(id.clone(), entry);
        Some(id)
    }

    /// Forgets batches that ended long ago.
    pub(super) fn sweep_batches(&mut self, now: DateTime<Utc>) -> u64 {
        let before = self.batches.len();
        self.batches.retain(|_, entry| entry.ended_at.is_none_or(|end| end + BATCH_LIFETIME > now));
        (before - self.batches.len()) as u64
    }
}
