//! The client: endpoints, setters on calls, sub-clients.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;

use crate::codegen::ir::Api;

/// Files by name.
pub(super) fn client(_api: &Api) -> BTreeMap<String, TokenStream> {
    BTreeMap::new()
}
