//! One file of results as it is downloaded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::Stream as _;
use zumik_types::FileId;

use super::line::BatchLine;
use super::lines::Lines;
use crate::api::v1::files::RetrieveFileContent;
use crate::client::Zumik;
use crate::endpoint::{DecodeError, Endpoint as _};
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::options::CallOptions;
use crate::pipeline::{self, RawResponse, Target};
use crate::stream::Fault;

/// A file that was opened, and what its errors tell of the call.
pub(super) struct Download {
    answer: RawResponse<Lines>,
    server: Arc<str>,
    max_body_bytes: usize,
}

impl Download {
    /// Opens a file.
    pub(super) async fn of(client: Zumik, file: FileId) -> Result<Self> {
        let target = Target::from(RetrieveFileContent::OPERATION);
        let parts = RetrieveFileContent::new(file).parts();
        let answer = pipeline::execute::<Lines>(&client, target, parts, CallOptions::default()).await?;
        let (server, max_body_bytes) = (client.shared().base_url.origin(), client.options().max_body_bytes);
        Ok(Self { answer, server, max_body_bytes })
    }

    /// The next line; `None` after the last one. It must have `room`, where there is a limit.
    pub(super) fn poll_line(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut Option<usize>,
    ) -> Poll<Option<Result<BatchLine>>> {
        let Some(line) = ready!(Pin::new(&mut self.answer.body).poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let line = line.and_then(|line| self.kept(line, room));
        Poll::Ready(Some(match line {
            Ok(line) => BatchLine::read(&line).map_err(|error| self.undecodable(line, error)),
            Err(fault) => Err(self.error(fault.into_error(&self.server), Bytes::new())),
        }))
    }

    fn kept(&self, line: Bytes, room: &mut Option<usize>) -> Result<Bytes, Fault> {
        if let Some(room) = room {
            *room = room.checked_sub(line.len()).ok_or(Fault::TooLong(self.max_body_bytes))?;
        }
        Ok(line)
    }

    fn undecodable(&self, line: Bytes, error: DecodeError) -> Error {
        let path = error.path().to_owned();
        let message = format!("a line of the results is not what the contract says {error}");
        let error = Error::new(ErrorKind::Decode, message).with_decode_path(path).with_cause(error);
        self.error(error, line)
    }

    fn error(&self, error: Error, line: Bytes) -> Error {
        let RawResponse { operation, meta, span, .. } = &self.answer;
        let error = error.with_outcome(Outcome::Ambiguous).with_attempts(meta.attempts());
        let error = error.with_answer(meta.clone(), line).with_operation(operation.clone());
        pipeline::record_end(span, &error);
        error
    }
}
