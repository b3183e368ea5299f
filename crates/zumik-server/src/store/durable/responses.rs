//! What responses are called and sealed for.

use zumik_types::{ResponseId, V1ResponseId};

use super::ids::PublicId as _;
use crate::store::{Kind, StoreError, StoredResponse};

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
