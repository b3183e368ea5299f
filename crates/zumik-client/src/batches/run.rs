//! A whole batch in one call.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use zumik_types::operations::CREATE_CHAT_COMPLETION;
use zumik_types::{Batch, CreateChatCompletionRequest, JsonObject};

use super::input::Input;
use super::results::{BatchResults, ended};
use super::wait::{Progress, until_ended};
use crate::api::v1::batches::Batches;
use crate::error::{Outcome, Result};
use crate::transport::BoxFuture;

impl<'c> Batches<'c> {
    /// Runs chat completion requests as one batch and gives their results: the input file is written and uploaded, the
    /// batch is created and waited for, its results are downloaded as they are asked for.
    ///
    /// Each request has a name of its own, the `custom_id`, by which its result is found. The rules of the input are
    /// checked before anything is sent.
    ///
    /// ```no_run
    /// # async fn example(zk: &zumik_client::Zumik) -> zumik_client::Result<()> {
    /// use zumik_client::types::CreateChatCompletionRequest;
    ///
    /// let questions = ["What is a monad?", "What is a burrito?"];
    /// let requests = questions.iter().enumerate().map(|(number, question)| {
    ///     (format!("q{number}"), CreateChatCompletionRequest::new("code.fast", [*question]))
    /// });
    /// let mut results = zk
    ///     .v1()
    ///     .batches()
    ///     .run(requests)
    ///     .on_progress(|batch| println!("{}: {} done", batch.id, batch.request_counts.completed))
    ///     .await?;
    /// while let Some(line) = results.next().await {
    ///     let line = line?;
    ///     match line.result {
    ///         Ok(completion) => println!("{}: {:?}", line.custom_id, completion.text()),
    ///         Err(error) => println!("{}: {error}", line.custom_id),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Dropping the future cancels nothing on the server: keep the id that
    /// [`on_progress`](RunBatch::on_progress) shows, and a later program goes on with [`wait`](Self::wait) and
    /// [`results`](Self::results). For the case that the answer with the id itself is lost, set the
    /// [`idempotency_key`](RunBatch::idempotency_key).
    ///
    /// Headers and limits of the calls that this is made of are those of the client; [`with`](crate::Zumik::with) makes
    /// a variant of it.
    ///
    /// # Errors
    ///
    /// [`Request`](crate::ErrorKind::Request) when a `custom_id` is empty, longer than 256 characters or used twice, when
    /// a request asks for a stream, or when there is none; [`TooLarge`](crate::ErrorKind::TooLarge) when the input is
    /// over 2 MiB. Then nothing was sent. [`BatchFailed`](crate::ErrorKind::BatchFailed) when the server refuses the
    /// input. [`Timeout`](crate::ErrorKind::Timeout) when it has not ended in the [time](RunBatch::timeout) that was set.
    /// Whatever else a call can meet.
    pub fn run<N: Into<String>, R: Into<CreateChatCompletionRequest>>(
        &self,
        requests: impl IntoIterator<Item = (N, R)>,
    ) -> RunBatch<'c> {
        let mut input = Input::default();
        for (custom_id, request) in requests {
            input.push(custom_id.into(), request.into());
            if input.is_broken() {
                break;
            }
        }
        RunBatch { batches: *self, input, key: None, metadata: None, progress: None, limit: None }
    }
}

/// A batch that has not been sent; see [`Batches::run`]. Await it.
#[must_use = "a batch does nothing until it is awaited"]
pub struct RunBatch<'c> {
    batches: Batches<'c>,
    input: Input,
    key: Option<String>,
    metadata: Option<JsonObject>,
    progress: Option<Progress<'c>>,
    limit: Option<Duration>,
}

impl<'c> RunBatch<'c> {
    /// Sets what is called with the batch when it is created, and then each time the server was asked. It has the id by
    /// which the batch is found again, and its [`request_counts`](Batch::request_counts) grow.
    pub fn on_progress(mut self, progress: impl FnMut(&Batch) + Send + 'c) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Sets the idempotency key of the batch: 1 to 255 visible ASCII characters. The same requests under the same key,
    /// within 24 hours, are the same batch: nothing runs again, and nothing is paid again. An error of a run has the
    /// [key](crate::Error::idempotency_key) that it was made under.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the metadata of the batch.
    pub fn metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Sets the longest time to wait for its end. Default: until it has ended. A batch that takes longer goes on, and is
    /// found by its id.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }
}

impl<'c> IntoFuture for RunBatch<'c> {
    type Output = Result<BatchResults>;
    type IntoFuture = BoxFuture<'c, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { batches, input, key, metadata, progress, limit } = self;
        Box::pin(async move {
            let mut progress = progress.unwrap_or_else(|| Box::new(|_| {}));
            let client = batches.client;
            // One key for both, which are on different paths: repeated, the upload must give the same file, or the batch
            // would be another one.
            let key = key.unwrap_or_else(|| client.shared().ambient.key());
            let upload = client.v1().files().upload(input.into_file()?).purpose("batch");
            let file = upload.idempotency_key(&key).await?;
            let mut create = batches.create(&file.id, CREATE_CHAT_COMPLETION.path).idempotency_key(key);
            if let Some(metadata) = metadata {
                create = create.metadata(metadata);
            }
            let batch = create.send().await?;
            progress(&batch);
            // The batch is there, whatever its end meets: who runs it again needs the key.
            let waited = until_ended(&batches, &batch.id, &mut progress, limit).await;
            let end = waited.map_err(|error| error.with_outcome(Outcome::Ambiguous)).and_then(ended);
            Ok(BatchResults::of(client, end.map_err(|error| error.with_idempotency_key(batch.meta().key()))?))
        })
    }
}

impl fmt::Debug for RunBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunBatch").field("input", &self.input).finish_non_exhaustive()
    }
}
