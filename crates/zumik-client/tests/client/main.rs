//! Tests of the client from the outside. One binary, one module a subject.

mod common;
mod environment;
mod errors;
mod http;
mod leaks;
mod options;
mod retries;
mod spans;
