//! The async Rust client of the Zumik API.
#![deny(missing_docs)]

mod call;
pub mod endpoint;
mod multipart;

pub use call::Call;
pub use multipart::FilePart;
pub use zumik_types as types;

/// A client.
#[derive(Debug, Clone)]
pub struct Zumik;
