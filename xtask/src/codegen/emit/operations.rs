//! The operation table.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::codegen::docs::{self, Doc};
use crate::codegen::ir::{Api, Operation};
use crate::codegen::names;

/// The files of the table by name: the table, and the rows of each sub-client of the first level.
pub(super) fn operations(api: &Api) -> BTreeMap<String, TokenStream> {
    let mut groups: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &api.operations {
        groups.entry(&operation.resource[0]).or_default().push(operation);
    }
    let mut files = BTreeMap::from([("mod".to_owned(), table(api, groups.keys()))]);
    files.extend(groups.iter().map(|(group, operations)| ((*group).to_owned(), rows(group, operations))));
    files
}

fn table<'a>(api: &Api, groups: impl Iterator<Item = &'a &'a str>) -> TokenStream {
    let constants = api.operations.iter().map(constant);
    let groups: Vec<_> = groups.map(|group| format_ident!("{group}")).collect();
    let doc =
        Doc::line("The operation table: every operation of the API, with what may be done with it.").inner();
    quote! {
        #doc
        #(mod #groups;)*
        #(pub use #groups::*;)*
        use crate::Operation;

        /// Every operation, in the order of the OpenAPI document.
        pub const ALL: &[Operation] = &[#(#constants),*];
    }
}

fn rows(group: &str, operations: &[&Operation]) -> TokenStream {
    let rows = operations.iter().map(|operation| row(operation, &constant(operation)));
    let doc = Doc::line(format!("The operations of `{group}`.")).inner();
    quote! {
        #doc
        use crate::{Evidence, Idempotency, Method, Operation, Scope};
        #(#rows)*
    }
}

fn constant(operation: &Operation) -> Ident {
    format_ident!("{}", names::constant(&operation.id))
}

fn row(operation: &Operation, name: &Ident) -> TokenStream {
    let Operation { id, method, path, group, accepts_key, streams, paginated, generation, .. } = operation;
    let summary = docs::inline(&operation.summary);
    let doc = Doc::line(format!("`{method} {path}`: {summary}.")).outer();
    let method = variant(method);
    let scope = variant(&operation.scope);
    let idempotency = variant(&operation.idempotency);
    let evidence = format_ident!("{}", if operation.inferred { "Inferred" } else { "Documented" });
    let summary = &operation.summary;
    quote! {
        #doc
        pub const #name: Operation = Operation {
            id: #id,
            method: Method::#method,
            path: #path,
            group: #group,
            summary: #summary,
            scope: Scope::#scope,
            idempotency: Idempotency::#idempotency,
            accepts_key: #accepts_key,
            streams: #streams,
            paginated: #paginated,
            generation: #generation,
            evidence: Evidence::#evidence,
        };
    }
}

fn variant(word: &str) -> Ident {
    format_ident!("{}", names::camel(&word.to_lowercase()))
}
