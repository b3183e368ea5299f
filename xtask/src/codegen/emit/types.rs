//! Types of the IR as Rust types, and how arguments of those types are taken.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::Imports;
use crate::codegen::ir::{Field, Presence, Type};

/// The Rust type of a value.
pub(super) fn rust(ty: &Type) -> TokenStream {
    match ty {
        Type::String => quote!(String),
        Type::Bool => quote!(bool),
        Type::U64 => quote!(u64),
        Type::I64 => quote!(i64),
        Type::F64 => quote!(f64),
        Type::DateTime | Type::UnixTime => quote!(DateTime<Utc>),
        Type::Json => quote!(Value),
        Type::JsonObject => quote!(JsonObject),
        Type::Array(item) => {
            let item = rust(item);
            quote!(Vec<#item>)
        }
        Type::Map(value) => {
            let value = rust(value);
            quote!(BTreeMap<String, #value>)
        }
        Type::List(item) => {
            let item = rust(item);
            quote!(List<#item>)
        }
        Type::Named(name) => {
            let name = format_ident!("{name}");
            quote!(#name)
        }
    }
}

/// The Rust type of a member.
pub(super) fn member(ty: &Type, presence: Presence) -> TokenStream {
    let ty = rust(ty);
    match presence {
        Presence::Required => ty,
        Presence::Nullable | Presence::Optional => quote!(Option<#ty>),
        Presence::Patch => quote!(Patch<#ty>),
    }
}

/// What has to be imported for a type.
pub(super) fn imports(ty: &Type, imports: &mut Imports) {
    match ty {
        Type::String | Type::Bool | Type::U64 | Type::I64 | Type::F64 => {}
        Type::DateTime | Type::UnixTime => {
            imports.uses.insert("chrono::DateTime");
            imports.uses.insert("chrono::Utc");
        }
        Type::Json => {
            imports.uses.insert("serde_json::Value");
        }
        Type::JsonObject => imports.own("JsonObject"),
        Type::Map(value) => {
            imports.uses.insert("std::collections::BTreeMap");
            self::imports(value, imports);
        }
        Type::Array(item) => self::imports(item, imports),
        Type::List(item) => {
            imports.own("List");
            self::imports(item, imports);
        }
        Type::Named(name) => imports.own(name.as_str()),
    }
}

/// An argument of a function: its type, and how the value is made of it.
pub(super) struct Argument {
    pub(super) ty: TokenStream,
    pub(super) value: TokenStream,
}

/// How a value of this type is taken as an argument called `name`.
pub(super) fn argument(ty: &Type, name: &proc_macro2::Ident) -> Argument {
    let rust = rust(ty);
    match ty {
        Type::Bool
        | Type::U64
        | Type::I64
        | Type::F64
        | Type::DateTime
        | Type::UnixTime
        | Type::JsonObject
        | Type::Map(_)
        | Type::List(_) => Argument { ty: rust, value: quote!(#name) },
        Type::String | Type::Json | Type::Named(_) => {
            Argument { ty: quote!(impl Into<#rust>), value: quote!(#name.into()) }
        }
        Type::Array(item) => {
            let item = self::rust(item);
            Argument {
                ty: quote!(impl IntoIterator<Item = impl Into<#item>>),
                value: quote!(#name.into_iter().map(Into::into).collect()),
            }
        }
    }
}

/// How a value of a member that may be left out is taken as an argument of its setter.
pub(super) fn setter_argument(field: &Field, name: &proc_macro2::Ident) -> Argument {
    if field.presence == Presence::Patch {
        let ty = rust(&field.ty);
        return Argument { ty: quote!(impl Into<Patch<#ty>>), value: quote!(#name.into()) };
    }
    let Argument { ty, value } = argument(&field.ty, name);
    Argument { ty, value: quote!(Some(#value)) }
}

/// A member of a struct literal, short where value and name are the same.
pub(super) fn initializer(name: &proc_macro2::Ident, value: &TokenStream) -> TokenStream {
    if *name == value.to_string() { quote!(#name) } else { quote!(#name: #value) }
}
