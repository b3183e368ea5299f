//! Responses of both surfaces: what they are called and sealed for, and sealed ahead of the transaction that keeps them.

use serde_json::Value;
use zumik_types::{ConversationId, ResponseId, V1ResponseId};

use super::ids::PublicId as _;
use super::{Seal, place};
use crate::store::{Kind, Result, StoreError, StoredResponse};

/// The kind of place that input items are sealed for.
pub(in crate::store) const INPUT_ITEMS: &str = "input items";

/// Names a response of either surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum ResponseName {
    Native(ResponseId),
    V1(V1ResponseId),
}

impl ResponseName {
    pub(in crate::store) fn surface(&self) -> i64 {
        match self {
            Self::Native(_) => 0,
            Self::V1(_) => 1,
        }
    }

    pub(in crate::store) fn key(&self) -> Option<[u8; 16]> {
        match self {
            Self::Native(id) => id.key(),
            Self::V1(id) => id.key(),
        }
    }

    pub(in crate::store) fn missing(&self) -> StoreError {
        match self {
            Self::Native(id) => StoreError::not_found(Kind::Response, id),
            Self::V1(id) => StoreError::not_found(Kind::Response, id),
        }
    }

    pub(in crate::store) fn of(response: &StoredResponse) -> Self {
        match response {
            StoredResponse::Native(response) => Self::Native(response.id.clone()),
            StoredResponse::V1(response) => Self::V1(response.id().clone()),
        }
    }
}

/// A response ready to be inserted: sealed ahead.
pub(in crate::store) struct SealedResponse {
    pub(in crate::store) name: ResponseName,
    pub(in crate::store) key: [u8; 16],
    /// Whether someone still has to work on it.
    pub(in crate::store) open: bool,
    pub(in crate::store) content: Vec<u8>,
    pub(in crate::store) input_items: Option<Vec<u8>>,
    pub(in crate::store) conversation: Option<ConversationId>,
}

impl SealedResponse {
    pub(in crate::store) fn new(env: &impl Seal, response: &StoredResponse) -> Result<Self> {
        let name = ResponseName::of(response);
        let key = name.key().ok_or_else(|| StoreError::internal("a response id was not minted here"))?;
        let (text, conversation) = match response {
            StoredResponse::Native(response) => (serde_json::to_vec(response)?, None),
            StoredResponse::V1(response) => (response.to_record()?, response.conversation()),
        };
        let content = env.seal(&place("response", &key), &text)?;
        Ok(Self { name, key, open: response.is_open(), content, input_items: None, conversation })
    }

    /// With its input items, if they are to be kept.
    pub(in crate::store) fn with_items(mut self, env: &impl Seal, items: Option<&[Value]>) -> Result<Self> {
        if let Some(items) = items {
            self.input_items = Some(env.seal(&place(INPUT_ITEMS, &self.key), &serde_json::to_vec(items)?)?);
        }
        Ok(self)
    }
}
