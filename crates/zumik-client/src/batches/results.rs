//! The results of a batch, from its two files.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use zumik_types::{Batch, BatchId, BatchStatus, FileId};

use super::line::BatchLine;
use super::lines::Lines;
use crate::api::v1::batches::Batches;
use crate::api::v1::files::RetrieveFileContent;
use crate::client::Zumik;
use crate::endpoint::Endpoint as _;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::options::CallOptions;
use crate::pipeline::{self, RawResponse, Target};
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
    batch: Batch,
    /// `None` after the last line and after an error.
    lines: Option<BoxStream<'static, Result<BatchLine>>>,
}

impl BatchResults {
    /// All results: the answered requests, then the others.
    pub(super) fn of(client: &Zumik, batch: Batch) -> Self {
        let files: Vec<FileId> = batch.output_file_id.iter().chain(&batch.error_file_id).cloned().collect();
        Self::new(client, batch, files)
    }

    fn new(client: &Zumik, batch: Batch, files: impl IntoIterator<Item = FileId>) -> Self {
        let client = client.clone();
        let files = stream::iter(files.into_iter().map(Ok).collect::<Vec<_>>());
        let lines = files.and_then(move |file| download(client.clone(), file)).try_flatten();
        Self { batch, lines: Some(lines.boxed()) }
    }

    /// The batch, as it ended.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The next line; `None` after the last one, and after an error.
    pub async fn next(&mut self) -> Option<Result<BatchLine>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// All lines, in memory.
    ///
    /// # Errors
    ///
    /// The error that ended the download.
    pub async fn collect(self) -> Result<Vec<BatchLine>> {
        self.try_collect().await
    }
}

impl Stream for BatchResults {
    type Item = Result<BatchLine>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { lines, .. } = self.get_mut();
        let Some(stream) = lines else { return Poll::Ready(None) };
        let line = ready!(stream.poll_next_unpin(cx));
        if !matches!(line, Some(Ok(_))) {
            *lines = None;
        }
        Poll::Ready(line)
    }
}

impl fmt::Debug for BatchResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchResults").field("batch", &self.batch).finish_non_exhaustive()
    }
}

/// Opens a file and reads its lines as they come.
async fn download(client: Zumik, file: FileId) -> Result<impl Stream<Item = Result<BatchLine>>> {
    let target = Target::from(RetrieveFileContent::OPERATION);
    let parts = RetrieveFileContent::new(file).parts();
    let answer = pipeline::execute::<Lines>(&client, target, parts, CallOptions::default()).await?;
    let RawResponse { operation, meta, body: lines, span } = answer;
    let server = client.shared().base_url.origin();
    let fail = move |error: Error, line: Bytes| {
        let error = error.with_outcome(Outcome::Ambiguous).with_attempts(meta.attempts());
        let error = error.with_answer(meta.clone(), line).with_operation(operation.clone());
        pipeline::record_end(&span, &error);
        error
    };
    Ok(lines.map(move |line| match line {
        Ok(line) => BatchLine::read(&line).map_err(|error| {
            let path = error.path().to_owned();
            let message = format!("a line of the results is not what the contract says {error}");
            fail(Error::new(ErrorKind::Decode, message).with_decode_path(path).with_cause(error), line)
        }),
        Err(fault) => Err(fail(fault.into_error(&server), Bytes::new())),
    }))
}
