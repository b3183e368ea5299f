//! Ids.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::codegen::docs::Doc;
use crate::codegen::ir::TypeDef;

pub(super) fn id(def: &TypeDef, prefixes: &[String]) -> TokenStream {
    let name = format_ident!("{}", def.name);
    let alternatives: Vec<_> = prefixes.iter().map(|prefix| format!("`{prefix}…`")).collect();
    let doc = Doc::description(&def.description).and(format!("Form: {}.", alternatives.join(" or "))).outer();
    quote! {
        #doc
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct #name(Arc<str>);

        id!(#name, #(#prefixes),*);
    }
}
