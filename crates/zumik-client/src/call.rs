//! An endpoint on its way to the server.

use crate::endpoint::Endpoint;
use crate::Zumik;

/// An endpoint on its way: the client that will send it and the options of this one call.
///
/// Nothing happens until it is awaited or [sent](Self::send).
#[must_use = "a call does nothing until it is awaited or sent"]
#[derive(Debug, Clone)]
pub struct Call<'c, E> {
    client: &'c Zumik,
    endpoint: E,
}

impl<'c, E: Endpoint> Call<'c, E> {
    pub(crate) fn new(client: &'c Zumik, endpoint: E) -> Self {
        Self { client, endpoint }
    }

    /// Changes the endpoint; what generated setters are made of.
    pub(crate) fn map(mut self, change: impl FnOnce(E) -> E) -> Self {
        self.endpoint = change(self.endpoint);
        self
    }
}
