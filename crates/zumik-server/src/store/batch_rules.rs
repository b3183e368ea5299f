//! Rules of batches that every store applies alike: what may become a batch, and how one ends.

use chrono::{DateTime, Utc};
use zumik_types::{
    Batch, BatchError, BatchErrors, BatchId, BatchRequestCounts, BatchStatus, CreateBatchRequest, Extra,
    File, FileId, ObjectType,
};

use super::rules::whole_seconds;
use super::{Limit, MAX_FILE_BYTES, MAX_FILES, Result, StoreError};
use crate::domain::InputFault;

/// The purpose of files that the server writes itself.
pub(crate) const OUTPUT_PURPOSE: &str = "batch_output";

/// The purpose of files that a batch may be made of.
const INPUT_PURPOSE: &str = "batch";

/// Files that a batch may write at its end. Room for them is kept free from its creation.
pub(super) const FILES_OF_A_BATCH: u64 = 2;

/// The body field that names no file.
pub(super) fn missing_input_file(id: &FileId) -> StoreError {
    StoreError::reference("input_file_id", format!("no file with id '{id}' exists in this project"))
}

/// A file as the API shows it: only of outputs it is told when they go.
pub(super) fn shown(file: File) -> File {
    let expires_at = file.expires_at.filter(|_| file.purpose == OUTPUT_PURPOSE);
    File { expires_at, ..file }
}

/// Refuses a file that was not uploaded for a batch.
pub(super) fn check_input_purpose(file: &File) -> Result<()> {
    if file.purpose == INPUT_PURPOSE {
        return Ok(());
    }
    let problem = format!("the file '{}' was not uploaded with the purpose 'batch'", file.id);
    Err(StoreError::reference("input_file_id", problem))
}

/// Refuses a further batch beside so many `open` ones and so many files with so many bytes.
///
/// Its two files need room among the files. How large they become nobody knows: they are written in any case, and count.
pub(super) fn check_batch_room(files: u64, open: u64, bytes: u64) -> Result<()> {
    let limit = if files + FILES_OF_A_BATCH * (open + 1) > MAX_FILES {
        Limit::BatchFiles(MAX_FILES)
    } else if bytes >= MAX_FILE_BYTES {
        Limit::BatchBytes(MAX_FILE_BYTES)
    } else {
        return Ok(());
    };
    Err(StoreError::Limit { limit })
}

/// A batch as it begins.
pub(super) fn new_batch(id: BatchId, request: CreateBatchRequest, total: u64, now: DateTime<Utc>) -> Batch {
    Batch {
        id,
        object: ObjectType::Batch,
        endpoint: request.endpoint,
        input_file_id: request.input_file_id,
        completion_window: request.completion_window.unwrap_or_else(|| "24h".to_owned()),
        status: BatchStatus::Validating,
        created_at: whole_seconds(now),
        metadata: request.metadata.unwrap_or_default(),
        request_counts: BatchRequestCounts { total, completed: 0, failed: 0, extra: Extra::new() },
        output_file_id: None,
        error_file_id: None,
        errors: None,
        in_progress_at: None,
        finalizing_at: None,
        completed_at: None,
        failed_at: None,
        cancelling_at: None,
        cancelled_at: None,
        expired_at: None,
        extra: Extra::new(),
    }
}

/// What is wrong with an input, as the API tells it.
pub(super) fn batch_errors(faults: Vec<InputFault>) -> BatchErrors {
    let error = |fault: InputFault| BatchError {
        code: fault.code.to_owned(),
        line: fault.line,
        message: fault.message,
        param: fault.param.map(str::to_owned),
        extra: Extra::new(),
    };
    let data = faults.into_iter().map(error).collect();
    BatchErrors { object: ObjectType::List, data, extra: Extra::new() }
}

/// Whether a cancel has anything to do.
///
/// # Errors
/// The batch completed, failed or expired.
pub(super) fn may_cancel(status: &BatchStatus) -> Result<bool> {
    match status {
        BatchStatus::Validating | BatchStatus::InProgress => Ok(true),
        BatchStatus::Completed | BatchStatus::Failed | BatchStatus::Expired => {
            Err(StoreError::BatchEnded { status: status.clone() })
        }
        _ => Ok(false),
    }
}

/// Notes the end of a batch and its moment.
pub(super) fn end(batch: &mut Batch, status: BatchStatus, now: DateTime<Utc>) {
    let moment = match &status {
        BatchStatus::Completed => &mut batch.completed_at,
        BatchStatus::Failed => &mut batch.failed_at,
        BatchStatus::Cancelled => &mut batch.cancelled_at,
        BatchStatus::Expired => &mut batch.expired_at,
        _ => return,
    };
    *moment = Some(now);
    batch.status = status;
}

/// The id of a line in output and error files.
pub(super) fn line_id(suffix: &str) -> String {
    format!("batch_req_{suffix}")
}

pub(super) fn output_file_name(id: &BatchId) -> String {
    format!("{id}_output.jsonl")
}

pub(super) fn error_file_name(id: &BatchId) -> String {
    format!("{id}_error.jsonl")
}
