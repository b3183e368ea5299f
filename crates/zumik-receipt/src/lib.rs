//! Canonical JSON, digests, and signing and offline verification of Zumik receipts.
#![deny(missing_docs)]
