//! The operation table.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::codegen::docs::{self, Doc};
use crate::codegen::ir::{Api, Operation};
use crate::codegen::names;

pub(super) fn operations(api: &Api) -> TokenStream {
    let constants: Vec<_> =
        api.operations.iter().map(|operation| format_ident!("{}", names::constant(&operation.id))).collect();
    let rows = api.operations.iter().zip(&constants).map(|(operation, name)| row(operation, name));
    let doc =
        Doc::line("The operation table: every operation of the API, with what may be done with it.").inner();
    quote! {
        #doc
        use crate::{Evidence, Idempotency, Method, Operation, Scope};

        /// Every operation, in the order of the OpenAPI document.
        pub const ALL: &[Operation] = &[#(#constants),*];

        #(#rows)*
    }
}

fn row(operation: &Operation, name: &proc_macro2::Ident) -> TokenStream {
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

fn variant(word: &str) -> proc_macro2::Ident {
    format_ident!("{}", names::camel(&word.to_lowercase()))
}
