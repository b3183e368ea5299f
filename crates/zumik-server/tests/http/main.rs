//! The HTTP side as a client meets it: the whole service, over memory and without a socket where neither disk nor network
//! is the point.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod checks;
mod generations;
mod host;
mod idempotency;
mod lifecycle;
mod probes;
mod v1_responses;
mod wire;
