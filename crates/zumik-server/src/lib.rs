//! The embedded Zumik server.
//!
//! A complete Zumik in one process: the API of Zumik over a durable store in one folder, or over memory for tests.
//!
//! ```
//! # async fn example() -> Result<(), zumik_server::StartError> {
//! let server = zumik_server::Server::builder().start().await?;
//! let (url, key) = (server.url(), server.api_key());
//! // … any Zumik client …
//! server.shutdown().await;
//! # Ok(()) }
//! ```
#![deny(missing_docs)]

mod aliases;
mod app;
mod batches;
mod blocking;
mod chain;
pub mod clock;
pub mod config;
pub mod domain;
mod engine;
#[cfg(test)]
mod fixtures;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod insist;
pub mod mint;
mod openai;
mod running;
pub mod seal;
mod server;
pub mod store;
mod usage;

pub use http::Api;
pub use server::{Builder, Drained, RunningServer, Server, StartError};
