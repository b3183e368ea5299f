//! The results of a batch, from its two files.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::Stream;
use zumik_types::{Batch, BatchId, BatchStatus, FileId};

use super::download::Download;
use super::line::BatchLine;
use crate::api::v1::batches::Batches;
use crate::client::Zumik;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::response::Response;
use crate::transport::BoxFuture;

impl<'c> Batches<'c> {
    /// The results of a batch that has ended: first the requests that were answered, then those that were not.
    ///
    /// With the id of a batch, this goes on where a program stopped that has [run](Self::run) it. The order is the
    /// server's, not that of the input; join by [`custom_id`](BatchLine::custom_id).
    ///
    /// # Errors
    ///
    /// [`BatchUnfinished`](ErrorKind::BatchUnfinished) before the batch has ended: [wait](Self::wait) for it.
    /// [`BatchFailed`](ErrorKind::BatchFailed) when the server refused its input file, so that no request ran.
    /// Whatever else a call can meet.
    pub fn results(&self, batch_id: impl Into<BatchId>) -> BoxFuture<'c, Result<BatchResults>> {
        let (batches, batch_id) = (*self, batch_id.into());
        Box::pin(async move {
            let batch = ended(batches.retrieve(batch_id).send().await?)?;
            Ok(BatchResults::of(batches.client, batch))
        })
    }

    /// The requests of a batch that were not answered: refused, failed, or never run.
    ///
    /// # Errors
    ///
    /// As for [`results`](Self::results).
    pub fn errors(&self, batch_id: impl Into<BatchId>) -> BoxFuture<'c, Result<BatchResults>> {
        let (batches, batch_id) = (*self, batch_id.into());
        Box::pin(async move {
            let batch = ended(batches.retrieve(batch_id).send().await?)?;
            let files = batch.error_file_id.clone();
            Ok(BatchResults::new(batches.client, batch, files))
        })
    }
}

/// A batch, if it has ended with results.
pub(super) fn ended(batch: Response<Batch>) -> Result<Batch> {
    let (kind, message) = match batch.status {
        BatchStatus::Completed | BatchStatus::Cancelled | BatchStatus::Expired => {
            return Ok(batch.into_inner());
        }
        BatchStatus::Failed => (ErrorKind::BatchFailed, refusal(&batch)),
        _ if batch.has_ended() => return Ok(batch.into_inner()),
        _ => (ErrorKind::BatchUnfinished, format!("the batch {} is still {}", batch.id, batch.status)),
    };
    let attempts = batch.meta().attempts();
    let (_, meta, body) = batch.into_parts();
    let error = Error::new(kind, message).with_outcome(Outcome::Rejected).with_attempts(attempts);
    Err(error.with_answer(meta, body))
}

/// What the server found in the input file: the first thing, and how many more.
fn refusal(batch: &Batch) -> String {
    let found = batch.errors.as_ref().map(|errors| errors.data.as_slice()).unwrap_or_default();
    let Some(first) = found.first() else {
        return format!("the server refused the input of the batch {}", batch.id);
    };
    let line = first.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let more = match found.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!(
        "the server refused the input of the batch {}: {line}{} {}{more}",
        batch.id, first.code, first.message
    )
}

/// The results of a batch as they are downloaded; a [`Stream`] of lines.
///
/// An error of the stream itself is its last item; [`results`](Batches::results) gives all of them once more.
#[must_use = "a stream does nothing until its lines are asked for"]
pub struct BatchResults {
    client: Zumik,
    batch: Batch,
    /// The files that were not opened yet.
    files: VecDeque<FileId>,
    file: Option<File>,
    /// How many bytes of lines may still come, where all of them are kept.
    room: Option<usize>,
}

/// The file whose lines come next.
enum File {
    Opening(BoxFuture<'static, Result<Download>>),
    Open(Box<Download>),
}

impl BatchResults {
    /// All results: the answered requests, then the others.
    pub(super) fn of(client: &Zumik, batch: Batch) -> Self {
        let files: Vec<FileId> = batch.output_file_id.iter().chain(&batch.error_file_id).cloned().collect();
        Self::new(client, batch, files)
    }

    fn new(client: &Zumik, batch: Batch, files: impl IntoIterator<Item = FileId>) -> Self {
        Self { client: client.clone(), batch, files: files.into_iter().collect(), file: None, room: None }
    }

    /// The batch, as it ended.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The next line; `None` after the last one, and after an error.
    pub async fn next(&mut self) -> Option<Result<BatchLine>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// All lines that are left, in memory.
    ///
    /// # Errors
    ///
    /// The error that ended the download; a [`Decode`](ErrorKind::Decode) error when the lines have more bytes together
    /// than [`max_body_bytes`](crate::Options::max_body_bytes): take them one by one with [`next`](Self::next).
    pub async fn collect(mut self) -> Result<Vec<BatchLine>> {
        self.room = Some(self.client.options().max_body_bytes);
        let mut lines = Vec::new();
        while let Some(line) = self.next().await {
            lines.push(line?);
        }
        Ok(lines)
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<BatchLine>>> {
        loop {
            match &mut self.file {
                None => {
                    let Some(file) = self.files.pop_front() else { return Poll::Ready(None) };
                    self.file = Some(File::Opening(Box::pin(Download::of(self.client.clone(), file))));
                }
                Some(File::Opening(file)) => {
                    self.file = Some(File::Open(Box::new(ready!(file.as_mut().poll(cx))?)));
                }
                Some(File::Open(file)) => match ready!(file.poll_line(cx, &mut self.room)) {
                    Some(line) => return Poll::Ready(Some(line)),
                    None => self.file = None,
                },
            }
        }
    }
}

impl Stream for BatchResults {
    type Item = Result<BatchLine>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let line = ready!(this.poll_line(cx));
        if !matches!(line, Some(Ok(_))) {
            this.files.clear();
            this.file = None;
        }
        Poll::Ready(line)
    }
}

impl fmt::Debug for BatchResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchResults").field("batch", &self.batch).finish_non_exhaustive()
    }
}
