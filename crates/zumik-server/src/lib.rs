//! The embedded Zumik server.

pub mod clock;
pub mod domain;
pub mod mint;
pub mod store;
