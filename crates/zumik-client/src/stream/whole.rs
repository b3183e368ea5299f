//! From events to the whole that they are parts of.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::Stream;
use zumik_types::{
    ChatAccumulator, ChatCompletion, ChatCompletionChunk, V1Response, V1ResponseAccumulator,
    V1ResponseStatus, V1StreamEvent,
};

use super::EventStream;
use crate::error::{ApiError, Error, ErrorKind, Result};
use crate::pipeline;

/// An event that is a part of a whole: chunks make a completion, the events of a response make the response.
///
/// It is sealed: what an event can do may grow.
pub trait Part: sealed::Sealed + Sized + Send + 'static {
    /// What all events together make.
    type Whole: Send + 'static;
    /// What the events so far make.
    type Accumulator: Default + Send + Unpin;

    /// The piece of the answer's text that this event adds. For a completion with several choices, of the first one.
    fn text(&self) -> Option<&str>;

    /// Adds this event to those before it.
    fn add_to(&self, accumulator: &mut Self::Accumulator);

    /// The whole, when the stream has ended well.
    ///
    /// # Errors
    ///
    /// When the events make no whole, or tell that the answer failed.
    fn whole(accumulator: Self::Accumulator) -> Result<Self::Whole>;
}

mod sealed {
    pub trait Sealed {
        /// Whether the last event alone has the whole.
        const LAST_IS_WHOLE: bool;
    }

    impl Sealed for zumik_types::ChatCompletionChunk {
        const LAST_IS_WHOLE: bool = false;
    }

    impl Sealed for zumik_types::V1StreamEvent {
        const LAST_IS_WHOLE: bool = true;
    }
}

impl Part for ChatCompletionChunk {
    type Whole = ChatCompletion;
    type Accumulator = ChatAccumulator;

    fn text(&self) -> Option<&str> {
        self.text()
    }

    fn add_to(&self, accumulator: &mut ChatAccumulator) {
        accumulator.push(self);
    }

    fn whole(accumulator: ChatAccumulator) -> Result<ChatCompletion> {
        let nothing = || Error::new(ErrorKind::StreamTruncated, "the stream ended without a single chunk");
        accumulator.finish().ok_or_else(nothing)
    }
}

impl Part for V1StreamEvent {
    type Whole = V1Response;
    type Accumulator = V1ResponseAccumulator;

    fn text(&self) -> Option<&str> {
        self.text()
    }

    fn add_to(&self, accumulator: &mut V1ResponseAccumulator) {
        accumulator.push(self);
    }

    /// A response that is incomplete is whole: its status and `incomplete_details` say what is missing.
    fn whole(accumulator: V1ResponseAccumulator) -> Result<V1Response> {
        let Some(response) = accumulator.finish() else {
            return Err(Error::new(
                ErrorKind::StreamTruncated,
                "the stream ended without the whole response",
            ));
        };
        if response.status != V1ResponseStatus::Failed {
            return Ok(response);
        }
        let (code, message) = match &response.error {
            Some(error) => (Some(error.code.clone()).filter(|code| !code.is_empty()), error.message.as_str()),
            None => (None, "without a reason"),
        };
        let api = ApiError { error_type: None, code, param: None };
        let message = format!("the response {} failed: {message}", response.id);
        let error = Error::new(pipeline::kind_in_stream(&api), message).with_api(api);
        // A value that was read can be written.
        Err(error.with_body(serde_json::to_vec(&response).unwrap_or_default().into()))
    }
}

impl<T: Part> EventStream<T> {
    /// Waits for the end and gives the whole: of chunks the completion, of a response's events the response.
    ///
    /// ```no_run
    /// # async fn example(zk: &zumik_client::Zumik) -> zumik_client::Result<()> {
    /// let stream = zk.v1().chat().completions().create("code.fast", ["Why did CI fail?"]).stream().await?;
    /// println!("trace {:?}", stream.meta().trace_id());
    /// let completion = stream.collect().await?;
    /// println!("{:?}", completion.text());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The error that ended the stream; a [`Decode`](ErrorKind::Decode) error when the events have more bytes together
    /// than [`max_body_bytes`](crate::Options::max_body_bytes). For a response that failed, its error, of the kind that
    /// its code says, with the response as the [body](Error::body): what came of it, and what it cost.
    ///
    /// [`StreamTruncated`](ErrorKind::StreamTruncated) when [`next`](Self::next) has given chunks already: what is left
    /// is no completion. Fold those with a [`ChatAccumulator`]. Of a response any events may be taken before, because the
    /// last one has all of it.
    pub async fn collect(self) -> Result<T::Whole> {
        self.text_deltas().whole().await
    }

    /// The text of the answer as it comes, and the [whole](TextDeltas::whole) at the end. The events are kept for it, so
    /// they have the limit that [`collect`](Self::collect) has. Behind chunks that were taken with [`next`](Self::next)
    /// there is the rest of the text, but no whole.
    ///
    /// ```no_run
    /// # async fn example(zk: &zumik_client::Zumik) -> zumik_client::Result<()> {
    /// let stream = zk.v1().chat().completions().create("code.fast", ["Why did CI fail?"]).stream().await?;
    /// let mut deltas = stream.text_deltas();
    /// while let Some(text) = deltas.next().await {
    ///     print!("{}", text?);
    /// }
    /// let completion = deltas.whole().await?;
    /// println!("\n{:?}", completion.usage);
    /// # Ok(())
    /// # }
    /// ```
    pub fn text_deltas(self) -> TextDeltas<T> {
        let partial = self.was_begun() && !T::LAST_IS_WHOLE;
        TextDeltas { stream: self.kept(), accumulator: T::Accumulator::default(), partial }
    }
}

/// The text of an answer, piece by piece. Made by [`EventStream::text_deltas`].
///
/// Events without text are passed over, but count for the [whole](Self::whole).
#[must_use = "a stream does nothing until its pieces are asked for"]
pub struct TextDeltas<T: Part> {
    stream: EventStream<T>,
    accumulator: T::Accumulator,
    /// Events are missing in the accumulator.
    partial: bool,
}

impl<T: Part> TextDeltas<T> {
    /// The next piece of text; `None` after the last one, and after an error.
    pub async fn next(&mut self) -> Option<Result<String>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The whole answer, with what has been read already. Waits for the rest.
    ///
    /// # Errors
    ///
    /// As for [`EventStream::collect`]. After an error that [`next`](Self::next) has given, that the answer is not
    /// whole.
    pub async fn whole(mut self) -> Result<T::Whole> {
        if self.partial {
            let message =
                "events were taken from the stream before: fold all of them with a `ChatAccumulator`";
            return Err(self.stream.incomplete(Error::new(ErrorKind::StreamTruncated, message)));
        }
        while let Some(event) = self.stream.next().await {
            event?.add_to(&mut self.accumulator);
        }
        if self.stream.has_failed() {
            return Err(self.stream.truncated());
        }
        T::whole(self.accumulator).map_err(|error| self.stream.incomplete(error))
    }

    /// The stream below, for its [`meta`](EventStream::meta).
    pub fn stream(&self) -> &EventStream<T> {
        &self.stream
    }
}

impl<T: Part> Stream for TextDeltas<T> {
    type Item = Result<String>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, accumulator, .. } = self.get_mut();
        loop {
            match ready!(Pin::new(&mut *stream).poll_next(cx)) {
                Some(Ok(event)) => {
                    event.add_to(accumulator);
                    if let Some(text) = event.text() {
                        return Poll::Ready(Some(Ok(text.to_owned())));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<T: Part> fmt::Debug for TextDeltas<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextDeltas").field("stream", &self.stream).finish_non_exhaustive()
    }
}
