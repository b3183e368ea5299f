//! Whole-system tests: a real client and strangers' clients against a real server, over loopback.

mod async_openai;
mod batches;
mod client;
mod conformance;
mod crash;
mod docs;
mod hostile;
mod io_faults;
mod isolation;
mod leaks;
mod linearizable;
mod migrate;
mod owner;
mod power;
mod purge;
mod race;
mod replicas;
mod responses;
mod restart;
mod slow_readers;
mod thread;
mod twins;
mod upgrade;
mod upstream;
