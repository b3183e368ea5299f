//! An endpoint on its way to the server.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::Instant;

use crate::client::Zumik;
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::options::{CallOptions, call_options};
use crate::pipeline::{self, RawResponse, Target, Whole};
use crate::response::Response;
use crate::stream::{EventStream, Events, StreamEndpoint};
use crate::transport::BoxFuture;

/// An endpoint on its way: the client that will send it and the options of this one call.
///
/// Awaiting it gives the decoded value; [`send`](Self::send) gives the [`Response`] around it. Nothing is sent
/// before. A POST gets a fresh idempotency key each time it is sent, and a clone of a call gets another one, unless
/// [`idempotency_key`](Self::idempotency_key) sets it.
#[must_use = "a call does nothing until it is awaited or sent"]
#[derive(Clone)]
pub struct Call<'c, E> {
    client: &'c Zumik,
    endpoint: E,
    options: CallOptions,
}

impl<'c, E: Endpoint> Call<'c, E> {
    pub(crate) fn new(client: &'c Zumik, endpoint: E) -> Self {
        Self { client, endpoint, options: CallOptions::default() }
    }

    /// Changes the endpoint; what generated setters are made of.
    pub(crate) fn map(mut self, change: impl FnOnce(E) -> E) -> Self {
        self.endpoint = change(self.endpoint);
        self
    }

    /// The endpoint as it was built. Whether it asks for a stream is decided by how it is sent.
    pub fn endpoint(&self) -> &E {
        &self.endpoint
    }

    /// Sends the call and gives the decoded answer with its [`Meta`](crate::Meta) and raw bytes. A body that asks for a
    /// stream is sent without that wish.
    ///
    /// # Errors
    ///
    /// Everything that an [`Error`](crate::Error) can say.
    pub fn send(self) -> impl Future<Output = Result<Response<E::Output>>> + Send + 'c + use<'c, E> {
        let sent = self.execute();
        async move { decoded::<E>(sent.await?) }
    }

    fn execute(self) -> BoxFuture<'c, Result<RawResponse<Bytes>>> {
        let parts = self.endpoint.whole().parts();
        pipeline::execute::<Whole>(self.client, Target::from(E::OPERATION), parts, self.options)
    }
}

fn decoded<E: Endpoint>(answer: RawResponse<Bytes>) -> Result<Response<E::Output>> {
    let RawResponse { operation, meta, body, .. } = answer;
    match E::decode(&body) {
        Ok(value) => Ok(Response::new(value, meta, body)),
        Err(error) => Err(pipeline::undecodable(meta, body, error).with_operation(operation)),
    }
}

impl<'c, E: StreamEndpoint> Call<'c, E> {
    /// Sends the call, asking for a stream, and gives its events as they come. Done when the first event is there.
    ///
    /// Up to then everything is repeated as for [`send`](Self::send); afterwards nothing is.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send). An answer that is no stream is a [`Decode`](crate::ErrorKind::Decode) error.
    pub fn stream(self) -> impl Future<Output = Result<EventStream<E::Event>>> + Send + 'c + use<'c, E> {
        let client = self.client;
        let parts = self.endpoint.streaming().parts();
        let sent = pipeline::execute::<Events>(client, Target::from(E::OPERATION), parts, self.options);
        async move {
            let begun = Instant::now();
            let answer = sent.await?;
            answer.span.record("zumik.time_to_first_event_ms", begun.elapsed().as_millis() as u64);
            Ok(EventStream::new(answer, client.shared().base_url.origin(), E::decode_event))
        }
    }
}

impl<E> Call<'_, E> {
    call_options!();
}

impl<'c, E: Endpoint + 'c> IntoFuture for Call<'c, E> {
    type Output = Result<E::Output>;
    type IntoFuture = Sending<'c, E>;

    fn into_future(self) -> Self::IntoFuture {
        Sending { answer: self.execute(), endpoint: PhantomData }
    }
}

/// A call that is being carried out, up to its decoded value: what awaiting a [`Call`] waits for.
#[must_use = "a call does nothing until it is awaited"]
pub struct Sending<'c, E> {
    answer: BoxFuture<'c, Result<RawResponse<Bytes>>>,
    endpoint: PhantomData<fn() -> E>,
}

impl<E: Endpoint> Future for Sending<'_, E> {
    type Output = Result<E::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.as_mut().poll(context).map(|answer| decoded::<E>(answer?).map(Response::into_inner))
    }
}

impl<E> fmt::Debug for Sending<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

impl<E: fmt::Debug> fmt::Debug for Call<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("endpoint", &self.endpoint).field("options", &self.options).finish()
    }
}
