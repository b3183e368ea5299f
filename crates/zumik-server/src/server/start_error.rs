//! Why a server does not start.

use std::io;

use thiserror::Error;
use zumik_types::KeyId;

use crate::config::{ListenAddress, UpstreamError};
use crate::store::StoreError;
use crate::store::postgres::{self, Address, AddressError};
use crate::store::sqlite::OpenError;

/// Why a server did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// Why.
        source: io::Error,
    },
    /// The API key that was given has not the form of one.
    #[error(
        "the API key has not the right form: it must be 'zk_live_' or 'zk_test_' and 16 to 128 of the characters \
         A-Z a-z 0-9 - _"
    )]
    ApiKey,
    /// The API key that was given belongs to another project than the default one.
    #[error("the API key belongs to another project; give another one, or none")]
    ApiKeyTaken,
    /// The API key that was given was revoked.
    #[error("the API key was revoked ({0}); give another one, or none")]
    ApiKeyRevoked(KeyId),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was given as the store is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// One connection to the database is too few.
    #[error("the store needs 2 connections at least: a report may keep one for as long as it runs")]
    StoreConnections,
    /// The PostgreSQL database cannot be used as a store.
    #[error("cannot use {address} as the store")]
    Database {
        /// The database.
        address: Box<Address>,
        /// Why.
        source: Box<postgres::OpenError>,
    },
    /// The store that was given was not told of the cache of an upstream: receipts of purges would claim too much.
    #[error(
        "the store does not know that the upstream '{upstream}' keeps prompts: open it with the provider_caches of this \
         builder, or set cache_seconds of the upstream to 0 if it keeps none"
    )]
    UntoldCache {
        /// Name of the upstream.
        upstream: String,
    },
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    /// The upstreams or the aliases cannot be used.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Two operations of the API cannot be told apart.
    #[error("the table of operations contradicts itself")]
    Routes(#[source] Box<dyn std::error::Error + Send + Sync>),
}
