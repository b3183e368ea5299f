//! What is made of the body of a successful answer.

use std::future::Future;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::limit::Limit;
use super::prepare::Prepared;
use crate::error::ErrorKind;
use crate::response::Meta;
use crate::transport::{ResponseBody, TransportError, Uncollected};

/// A way to take the body of a successful answer. Until it is taken, an attempt can fail and be repeated.
pub(crate) trait Take: Send + 'static {
    /// The body, taken.
    type Body: Send;

    /// `Accept` of the request, where it matters.
    const ACCEPT: Option<&'static str> = None;

    /// Until when an attempt that begins now may take its body.
    fn limit(call: &Prepared) -> Limit {
        Limit::of_attempt(call)
    }

    /// Takes the body.
    fn take(
        call: &Prepared,
        meta: &Meta,
        body: ResponseBody,
    ) -> impl Future<Output = Result<Self::Body, Untaken>> + Send;

    /// How many bytes it has, where that is known.
    fn size(_body: &Self::Body) -> Option<usize> {
        None
    }

    /// The bytes of it that an error keeps.
    fn bytes(_body: Self::Body) -> Bytes {
        Bytes::new()
    }

    /// The usage that it tells, where it can be read.
    fn usage(_body: &Self::Body) -> Option<Value> {
        None
    }
}

/// A success without a body that can be taken.
#[derive(Debug)]
pub(crate) enum Untaken {
    /// It broke off.
    Lost(TransportError),
    /// It is not what it should be; repeating would not help.
    Unusable(Unusable),
}

/// An answer that the client cannot use.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    /// The body, as far as it was read.
    pub(crate) body: Bytes,
}

impl From<TransportError> for Untaken {
    fn from(error: TransportError) -> Self {
        Self::Lost(error)
    }
}

/// Waits for the whole body.
#[derive(Debug)]
pub(crate) enum Whole {}

impl Take for Whole {
    type Body = Bytes;

    async fn take(call: &Prepared, _meta: &Meta, body: ResponseBody) -> Result<Bytes, Untaken> {
        let limit = call.max_body_bytes;
        body.collect(limit).await.map_err(|error| match error {
            Uncollected::Broken(error) => Untaken::Lost(TransportError::interrupted(error)),
            Uncollected::TooLong(body) => Untaken::Unusable(Unusable {
                kind: ErrorKind::Decode,
                message: format!("the answer is longer than {limit} bytes"),
                body,
            }),
        })
    }

    fn size(body: &Bytes) -> Option<usize> {
        Some(body.len())
    }

    fn bytes(body: Bytes) -> Bytes {
        body
    }

    fn usage(body: &Bytes) -> Option<Value> {
        #[derive(Deserialize)]
        struct Answer {
            usage: Option<Value>,
        }

        serde_json::from_slice::<Answer>(body).ok()?.usage
    }
}
