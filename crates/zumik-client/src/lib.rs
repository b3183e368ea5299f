//! The async Rust client of the Zumik API.
#![deny(missing_docs)]

mod ambient;
mod base_url;
mod builder;
mod call;
mod client;
pub mod endpoint;
mod error;
mod generated;
mod multipart;
mod options;
mod pipeline;
mod request;
mod response;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

pub use builder::Builder;
pub use call::Call;
pub use client::Zumik;
pub use error::{BranchConflict, BranchPosition, Error, ErrorKind, Outcome, Result};
pub use generated::*;
pub use http::Method;
pub use multipart::FilePart;
pub use options::Options;
pub use request::RawCall;
pub use response::{Meta, Response};
pub use zumik_types as types;
