//! The HTTP side as a client meets it: the whole service, over memory and without a socket where neither disk nor network
//! is the point.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent_hints;
mod bad_input;
mod batches;
mod chat;
mod checks;
mod conversations;
mod generations;
mod host;
mod idempotency;
mod lifecycle;
mod model_aliases;
mod probes;
mod usage;
mod v1_responses;
mod v1_streams;
mod wire;
