//! Where state is kept, as settings name it.

use std::fmt;

use serde::Deserialize;

use crate::store::postgres::{Address, AddressError};

/// The URL of a store as it was given. It may hold a password, so it is never shown: neither it nor why it is none.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// Keeps a URL.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The database that it names.
    ///
    /// # Errors
    /// It is no URL of a PostgreSQL database.
    pub fn address(&self) -> Result<Address, AddressError> {
        self.0.parse()
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreUrl(…)")
    }
}
