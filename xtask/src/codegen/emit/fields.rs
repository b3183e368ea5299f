//! What documentation and attributes a member has.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::types;
use crate::codegen::docs::Doc;
use crate::codegen::ir::{Constant, Field, Presence, Type, TypeDef};

/// The documentation of a member: what it is, its limits, what is special about it.
pub(super) fn doc(field: &Field) -> Doc {
    let mut notes = field.rules.clone();
    if field.wire != field.name {
        notes.push(format!("On the wire: `{}`.", field.wire));
    }
    if field.inferred {
        notes.push("Inferred, not documented.".to_owned());
    }
    Doc::description(&field.description).and_maybe((!notes.is_empty()).then(|| notes.join(" ")))
}

/// The member of the struct.
pub(super) fn declaration(def: &TypeDef, field: &Field) -> TokenStream {
    let doc = doc(field).outer();
    let attributes = serde(def, field);
    let name = format_ident!("{}", field.name);
    let ty = types::member(&field.ty, field.presence);
    quote!(#doc #attributes pub #name: #ty)
}

/// The function that gives the value of a constant member that is missing.
pub(super) fn default_function(field: &Field) -> Option<proc_macro2::Ident> {
    let is_required = field.presence == Presence::Required;
    (is_required && field.constant.is_some()).then(|| format_ident!("default_{}", field.name))
}

/// The value of a constant member.
pub(super) fn constant(constant: &Constant) -> TokenStream {
    match constant {
        Constant::ObjectType(variant) => {
            let variant = format_ident!("{variant}");
            quote!(ObjectType::#variant)
        }
        Constant::Text(text) => quote!(#text.to_owned()),
        Constant::Bool(value) => quote!(#value),
    }
}

fn serde(def: &TypeDef, field: &Field) -> TokenStream {
    let mut options = Vec::new();
    if field.wire != field.name {
        let wire = &field.wire;
        options.push(quote!(rename = #wire));
    }
    let is_time = field.ty == Type::UnixTime;
    match field.presence {
        Presence::Required => {
            if let Some(function) = default_function(field) {
                let path = format!("{}::{function}", def.name);
                options.push(quote!(default = #path));
            } else if field.may_be_missing {
                options.push(quote!(default = "crate::lenient::Absent::absent"));
                if !is_time {
                    options.push(quote!(deserialize_with = "crate::lenient::or_absent"));
                }
            }
            if is_time {
                options.push(quote!(with = "crate::time::UnixSeconds"));
            }
        }
        Presence::Nullable if is_time => {
            options.push(quote!(with = "crate::time::OptionalUnixSeconds"));
            if !def.in_requests {
                options.push(quote!(default));
            }
        }
        // serde reads a missing `Option` as `None`, unless a function is named.
        Presence::Nullable if def.in_requests => {
            options.push(quote!(deserialize_with = "Option::deserialize"))
        }
        Presence::Nullable => {}
        Presence::Optional => {
            options.push(quote!(default));
            if is_time {
                options.push(quote!(with = "crate::time::OptionalUnixSeconds"));
            }
            if !field.sent_as_null {
                options.push(quote!(skip_serializing_if = "Option::is_none"));
            }
        }
        Presence::Patch => {
            options.push(quote!(default));
            options.push(quote!(skip_serializing_if = "Patch::is_absent"));
        }
    }
    if options.is_empty() { TokenStream::new() } else { quote!(#[serde(#(#options),*)]) }
}
