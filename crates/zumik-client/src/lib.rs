//! The async Rust client of the Zumik API.
#![deny(missing_docs)]
