//! The way to an endpoint that this version does not know.

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::Zumik;
use crate::content::Content;
use crate::endpoint::{self, Body, BuildError, RequestParts};
use crate::error::Result;
use crate::options::{CallOptions, call_options};
use crate::pipeline::{self, RawResponse, Target, Whole};
use crate::response::Response;

/// A call of any path; see [`Zumik::request`].
#[must_use = "a call does nothing until it is sent"]
#[derive(Debug, Clone)]
pub struct RawCall<'c> {
    client: &'c Zumik,
    method: Method,
    path: String,
    body: Result<Body, BuildError>,
    options: CallOptions,
}

impl<'c> RawCall<'c> {
    pub(crate) fn new(client: &'c Zumik, method: Method, path: String) -> Self {
        Self { client, method, path, body: Ok(Body::Empty), options: CallOptions::default() }
    }

    /// Sets a JSON body.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.body = serde_json::to_vec(body).map(|json| Body::Json(json.into())).map_err(BuildError::from);
        self
    }

    /// Sends the call and decodes the answer.
    ///
    /// # Errors
    ///
    /// As for every call. A path that does not begin with `/`, or that has a query or fragment, is a
    /// [`Request`](crate::ErrorKind::Request) error: add parameters with [`query`](Self::query).
    pub async fn send_as<T: DeserializeOwned>(self) -> Result<Response<T>> {
        let RawResponse { operation, meta, body, .. } = self.execute().await?;
        match endpoint::json(&body) {
            Ok(value) => Ok(Response::new(value, meta, body)),
            Err(error) => Err(pipeline::undecodable(meta, body, error).with_operation(operation)),
        }
    }

    /// Sends the call and gives the body of the answer as it comes. Its `Debug` prints how many bytes there are.
    ///
    /// # Errors
    ///
    /// As for [`send_as`](Self::send_as), except that every body is taken.
    pub async fn send(self) -> Result<Response<Content>> {
        let RawResponse { meta, body, .. } = self.execute().await?;
        Ok(Response::new(body.clone().into(), meta, body))
    }

    async fn execute(self) -> Result<RawResponse<Bytes>> {
        let target = Target::unknown(self.method, &self.path);
        let parts = self.body.and_then(|body| RequestParts::raw(self.path, body));
        pipeline::execute::<Whole>(self.client, target, parts, self.options).await
    }

    call_options!();
}
