//! The client: one module a sub-client, with its endpoints, their setters on calls, and its methods.

mod docs;
mod endpoint;
mod sub_client;

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use self::endpoint::Endpoint;
use super::Imports;
use crate::codegen::docs::Doc;
use crate::codegen::ir::{Api, Operation};

/// Files by path, without the ending.
pub(super) fn client(api: &Api) -> BTreeMap<String, TokenStream> {
    let common = docs::common_errors(api);
    let mut files = BTreeMap::new();
    let mut roots = BTreeSet::new();
    for (path, description) in &api.resources {
        let path: Vec<&str> = path.split('.').collect();
        roots.insert(path[0]);
        let children = children(api, &path);
        let operations =
            api.operations.iter().filter(|operation| operation.resource == path && !operation.handwritten);
        let endpoints: Vec<_> =
            operations.into_iter().map(|operation| Endpoint::new(api, operation)).collect();
        let (large, small): (Vec<_>, Vec<_>) = endpoints.iter().partition(|endpoint| endpoint.is_large());
        let code = resource(&path, description, &children, &endpoints, &small, &common);
        let folder = path.join("/");
        let is_file = children.is_empty() && large.is_empty();
        files.insert(if is_file { folder.clone() } else { format!("{folder}/mod") }, code);
        for endpoint in large {
            let name = &endpoint.operation.client_method;
            files.insert(format!("{folder}/{name}"), large_endpoint(endpoint));
        }
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

/// The file of a sub-client, with the endpoints that have no file of their own.
fn resource(
    path: &[&str],
    description: &str,
    children: &[(&str, &str)],
    endpoints: &[Endpoint<'_>],
    small: &[&Endpoint<'_>],
    common: &docs::CommonErrors,
) -> TokenStream {
    let mut imports = Imports { crate_name: "zumik_types", ..Imports::default() };
    imports.uses.insert("crate::Zumik");
    if !endpoints.is_empty() {
        imports.uses.insert("crate::Call");
    }
    endpoints.iter().for_each(|endpoint| endpoint.argument_imports(&mut imports));
    small.iter().for_each(|endpoint| endpoint.imports(&mut imports));
    let imports = imports.without([]);
    let doc = Doc::description(description).inner();
    let modules = children.iter().map(|(name, _)| format_ident!("{name}"));
    let large: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.is_large()).collect();
    let files: Vec<_> =
        large.iter().map(|endpoint| format_ident!("{}", endpoint.operation.client_method)).collect();
    let names = large.iter().map(|endpoint| &endpoint.name);
    let sub_client = sub_client::sub_client(path, description, children, endpoints, common);
    let items = small.iter().map(|endpoint| endpoint.items());
    quote! {
        #doc
        #(pub mod #modules;)*
        #(mod #files;)*
        #(pub use #files::#names;)*
        #imports
        #sub_client
        #(#items)*
    }
}

/// The file of one endpoint.
fn large_endpoint(endpoint: &Endpoint<'_>) -> TokenStream {
    let mut imports = Imports { crate_name: "zumik_types", ..Imports::default() };
    endpoint.argument_imports(&mut imports);
    endpoint.imports(&mut imports);
    let imports = imports.without([]);
    let Operation { method, path, .. } = endpoint.operation;
    let doc = Doc::line(format!("The endpoint `{method} {path}`.")).inner();
    let items = endpoint.items();
    quote!(#doc #imports #items)
}
