//! The client: one module a sub-client, with its endpoints, their setters on calls, and its methods.

mod docs;
mod endpoint;
mod sub_client;

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::Imports;
use crate::codegen::docs::Doc;
use crate::codegen::ir::{Api, Kind, Object, Operation};

/// Files by path, without the ending.
pub(super) fn client(api: &Api) -> BTreeMap<String, TokenStream> {
    let common = docs::common_errors(api);
    let mut files = BTreeMap::new();
    let mut roots = BTreeSet::new();
    for (path, description) in &api.resources {
        let path: Vec<&str> = path.split('.').collect();
        roots.insert(path[0]);
        let children = children(api, &path);
        let operations: Vec<_> =
            api.operations.iter().filter(|operation| operation.resource == path).collect();
        let code = resource(api, &path, description, &children, &operations, &common);
        let file = if children.is_empty() { path.join("/") } else { format!("{}/mod", path.join("/")) };
        files.insert(file, code);
    }
    let roots = roots.into_iter().map(|root| format_ident!("{root}"));
    let doc = Doc::line("The operations of the API, one module a sub-client.").inner();
    files.insert("mod".to_owned(), quote!(#doc #(pub mod #roots;)*));
    files
}

/// The sub-clients right below one.
fn children<'a>(api: &'a Api, path: &[&str]) -> Vec<(&'a str, &'a str)> {
    let prefix = format!("{}.", path.join("."));
    let below =
        api.resources.iter().filter_map(|(path, text)| Some((path.strip_prefix(&prefix)?, text.as_str())));
    below.filter(|(name, _)| !name.contains('.')).collect()
}

fn resource(
    api: &Api,
    path: &[&str],
    description: &str,
    children: &[(&str, &str)],
    operations: &[&Operation],
    common: &docs::CommonErrors,
) -> TokenStream {
    let endpoints: Vec<_> = operations
        .iter()
        .filter(|operation| !operation.handwritten)
        .map(|operation| endpoint::Endpoint::new(operation, body(api, operation)))
        .collect();
    let mut imports = Imports { crate_name: "zumik_types", ..Imports::default() };
    imports.uses.insert("crate::Zumik");
    if !endpoints.is_empty() {
        imports.uses.insert("crate::Call");
        imports.uses.extend(["crate::endpoint::BuildError", "crate::endpoint::DecodeError"]);
        imports.uses.extend(["crate::endpoint::Endpoint", "crate::endpoint::RequestParts"]);
        imports.uses.extend(["zumik_types::Operation", "zumik_types::operations"]);
    }
    endpoints.iter().for_each(|endpoint| endpoint.imports(&mut imports));
    let imports = imports.without([]);
    let doc = Doc::description(description).inner();
    let modules = children.iter().map(|(name, _)| format_ident!("{name}"));
    let sub_client = sub_client::sub_client(path, description, children, &endpoints, common);
    let items = endpoints.iter().map(endpoint::Endpoint::items);
    quote! {
        #doc
        #(pub mod #modules;)*
        #imports
        #sub_client
        #(#items)*
    }
}

/// The body of an operation, if it has one.
fn body<'a>(api: &'a Api, operation: &Operation) -> Option<(&'a str, &'a Object)> {
    let wanted = &operation.body.as_ref()?.ty;
    api.types.iter().find(|def| def.name == *wanted).and_then(|def| match &def.kind {
        Kind::Object(object) => Some((def.name.as_str(), object)),
        _ => None,
    })
}
