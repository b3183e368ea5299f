//! What a handler is given: who asks, and what was sent.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use http::request::Parts;
use serde::Serialize;
use serde_json::Map;
use zumik_types::{InvalidId, StoredAgentHints};

use super::input::{Form, Query, object};
use super::routes::PathIds;
use super::{ApiError, Reply};
use crate::app::App;
use crate::store::{Idempotency, Kind, ProjectCtx, StoreError};

/// One authorized request of an operation.
pub(crate) struct Call {
    /// The server.
    pub(crate) app: Arc<App>,
    /// Who asks, for which project, when, under which trace.
    pub(crate) ctx: ProjectCtx,
    /// The idempotency key, until a write takes it. What fails before leaves it here.
    pub(crate) key: Option<Idempotency>,
    /// The body as a form, where it was read already.
    pub(super) form: Option<Form>,
    pub(super) head: Parts,
    pub(super) ids: PathIds,
    pub(super) body: Bytes,
}

impl Call {
    /// A request to a path of the API, with this body.
    #[cfg(test)]
    pub(crate) fn posted(app: &Arc<App>, ctx: &ProjectCtx, path: &str, body: &serde_json::Value) -> Self {
        let head = http::Request::post(path).header("content-type", "application/json");
        let head = head.body(()).unwrap().into_parts().0;
        let (_, ids) = app.routes.find(&head).unwrap();
        let (app, ctx, body) = (Arc::clone(app), ctx.clone(), body.to_string().into());
        Self { app, ctx, key: None, form: None, head, ids, body }
    }

    /// The id at `position` of the path, from 0.
    ///
    /// # Errors
    /// 404 for what cannot be an id of this kind: it names nothing, as any other unknown id.
    pub(crate) fn path_id<T>(&self, position: usize, kind: Kind) -> Result<T, ApiError>
    where
        T: FromStr<Err = InvalidId>,
    {
        let text = self.ids.get(position);
        text.parse().map_err(|_| ApiError::missing(kind, text))
    }

    /// The body, which must be a JSON object.
    pub(crate) fn json(&self) -> Result<Map<String, serde_json::Value>, ApiError> {
        object(&self.head.headers, &self.body)
    }

    /// The body of an operation that takes none, an empty one or an object.
    pub(crate) fn optional_json(&self) -> Result<Map<String, serde_json::Value>, ApiError> {
        if self.body.is_empty() { Ok(Map::new()) } else { self.json() }
    }

    /// The body as a form.
    pub(crate) async fn form(&mut self) -> Result<Form, ApiError> {
        match self.form.take() {
            Some(form) => Ok(form),
            None => Form::read(&self.head.headers, self.body.clone()).await,
        }
    }

    /// The stored hints that `Agent-Hints-Ref` names. An id that is unknown, foreign or none is ignored.
    pub(crate) async fn stored_hints(&self) -> Result<Option<StoredAgentHints>, ApiError> {
        let Some(id) = self.header("agent-hints-ref").and_then(|value| value.parse().ok()) else {
            return Ok(None);
        };
        match self.app.store.retrieve_agent_hints(&self.ctx, &id).await {
            Ok(hints) => Ok(Some(hints)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The query string.
    pub(crate) fn query(&self) -> Query<'_> {
        Query::of(self.head.uri.query())
    }

    /// A header as text; nothing when it is absent, empty or not ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
    }

    /// A header as it was sent.
    pub(crate) fn raw_header(&self, name: &str) -> Option<&[u8]> {
        self.head.headers.get(name).map(|value| value.as_bytes())
    }

    /// When the request came in, in the whole seconds that the API tells.
    pub(crate) fn created_at(&self) -> DateTime<Utc> {
        self.ctx.now.trunc_subsecs(0)
    }

    /// The answer that the key gives already; nothing without a key.
    ///
    /// # Errors
    /// 409 while the first request runs, 422 when it was another one.
    pub(crate) async fn replay(&self) -> Result<Option<Reply>, ApiError> {
        let Some(key) = &self.key else { return Ok(None) };
        Ok(self.app.store.recall(&self.ctx, key).await?.map(Reply::replayed))
    }

    /// 200 with a value that was made without the store, kept under the key if there is one.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub(crate) async fn reply_once<T: Serialize>(&mut self, value: &T) -> Result<Reply, ApiError> {
        let Some(key) = self.key.take() else { return self.reply(value) };
        let value = serde_json::to_value(value).map_err(ApiError::internal)?;
        Ok(self.app.store.keep_value(&self.ctx, value, key).await?.into())
    }

    /// 200 with a value as JSON.
    pub(crate) fn reply<T: Serialize>(&self, value: &T) -> Result<Reply, ApiError> {
        Reply::json(&self.ctx.trace, value)
    }
}
