//! Open enums.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::codegen::docs::{self, Doc};
use crate::codegen::ir::{TypeDef, Variant};

pub(super) fn open_enum(def: &TypeDef, variants: &[Variant]) -> TokenStream {
    let name = format_ident!("{}", def.name);
    let doc = Doc::description(&def.description).outer();
    let docs = variants.iter().map(|variant| variant_doc(variant).outer());
    let names: Vec<_> = variants.iter().map(|variant| format_ident!("{}", variant.name)).collect();
    let wires = variants.iter().map(|variant| &variant.wire);
    quote! {
        #doc
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum #name {
            #(#docs #names,)*
            /// A value that this version does not know, kept as it was read.
            Unrecognized(String),
        }

        open_enum!(#name, #(#names = #wires),*);
    }
}

fn variant_doc(variant: &Variant) -> Doc {
    match &variant.description {
        Some(description) => {
            Doc::line(format!("`{}`: {}", variant.wire, docs::behind_colon(&docs::inline(description))))
        }
        None => Doc::line(format!("`{}`", variant.wire)),
    }
}
