//! Tests of the client from the outside. One binary, one module a subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod batches;
mod branch;
mod chat;
mod common;
mod environment;
mod errors;
mod http;
mod leaks;
mod options;
mod purge;
mod retries;
mod spans;
mod sse;
mod streams;
mod wire;
