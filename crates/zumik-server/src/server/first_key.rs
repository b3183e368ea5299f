//! The API key that a server starts with.

use chrono::{DateTime, Utc};
use zumik_types::ProjectId;

use super::StartError;
use crate::domain::{Scopes, key_hash, masked_key, mint_key};
use crate::mint::Mint;
use crate::store::{NewKey, Store, StoreError};

/// Whether a text has the form of an API key.
pub(super) fn is_key(key: &str) -> bool {
    let suffix = key.strip_prefix("zk_live_").or_else(|| key.strip_prefix("zk_test_"));
    suffix.is_some_and(|suffix| {
        (16..=128).contains(&suffix.len())
            && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

/// A key for a project that never had one, else nothing: keys that were revoked are not replaced by a start.
pub(super) async fn first_key(
    store: &dyn Store,
    project: &ProjectId,
    mint: &dyn Mint,
) -> Result<String, StartError> {
    let keys = store.list_keys(Some(project)).await?;
    if keys.is_empty() {
        return Ok(mint_key(mint));
    }
    if keys.iter().all(|key| key.revoked_at.is_some()) {
        tracing::warn!("every API key of the project is revoked; `zumik keys create` makes one");
    }
    Ok(String::new())
}

/// Registers a key when the store does not know it.
pub(super) async fn register(
    store: &dyn Store,
    project: &ProjectId,
    secret: &str,
    now: DateTime<Utc>,
) -> Result<(), StartError> {
    let key = NewKey {
        name: "serve".to_owned(),
        scopes: Scopes::INFERENCE_ONLY,
        hash: key_hash(secret.as_bytes()),
        masked: masked_key(secret),
    };
    let record = store.create_key(project, key, now).await.map_err(|error| match error {
        StoreError::Reference { .. } => StartError::ApiKeyTaken,
        other => other.into(),
    })?;
    match record.revoked_at {
        None => Ok(()),
        Some(_) => Err(StartError::ApiKeyRevoked(record.id)),
    }
}
