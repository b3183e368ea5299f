//! The async Rust client of the Zumik API.
#![deny(missing_docs)]

/// The operations of the API, one module a sub-client: what `zk.artifacts()` and its kin give, and the endpoints as
/// plain values.
pub mod api {
    pub use crate::generated::*;
    pub use crate::upload::UploadFile;
}

mod ambient;
mod base_url;
mod branch;
mod builder;
mod call;
mod client;
pub mod endpoint;
mod error;
mod generated;
mod multipart;
mod options;
mod pipeline;
mod purge;
mod request;
mod response;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transport;
mod upload;

pub use branch::{Appended, BranchCursor, BranchRef, BranchState, Decision};
pub use builder::Builder;
pub use call::Call;
pub use client::Zumik;
pub use error::{BranchConflict, BranchPosition, Error, ErrorKind, Outcome, Result};
pub use http::Method;
pub use multipart::FilePart;
pub use options::Options;
#[cfg(feature = "verify")]
pub use purge::ProofError;
pub use purge::PurgeProof;
pub use request::RawCall;
pub use response::{Meta, Response};
pub use zumik_types as types;
