//! Objects: the struct, its constructor and setters, and its `Debug` when something in it is sensitive.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::{Imports, fields, types};
use crate::codegen::docs::Doc;
use crate::codegen::ir::{Field, Object, Presence, TypeDef};

pub(super) fn object(def: &TypeDef, object: &Object) -> TokenStream {
    let name = format_ident!("{}", def.name);
    let doc = Doc::description(&def.description).outer();
    let members = object.fields.iter().map(|field| fields::declaration(def, field));
    let is_sensitive = has_sensitive(object);
    let debug = (!is_sensitive).then(|| quote!(Debug,));
    let redacted_debug = is_sensitive.then(|| redacted_debug(&name, object));
    let constructor = def.in_requests.then(|| constructor(def, object));
    let defaults = defaults(&name, object);
    let absent = def.has_absent.then(|| absent(&name, object));
    quote! {
        #doc
        #[derive(#debug Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
        pub struct #name {
            #(#members,)*
            /// Members that this version does not know.
            #[serde(flatten)]
            pub extra: Extra,
        }
        #constructor
        #defaults
        #redacted_debug
        #absent
    }
}

pub(super) fn imports(object: &Object, imports: &mut Imports) {
    imports.serde.extend(["Deserialize", "Serialize"]);
    imports.own("Extra");
    for field in &object.fields {
        types::imports(&field.ty, imports);
        if field.presence == Presence::Patch {
            imports.own("Patch");
        }
    }
    if has_sensitive(object) {
        imports.uses.insert("std::fmt");
        imports.uses.insert("crate::redact::Redacted");
    }
}

fn has_sensitive(object: &Object) -> bool {
    object.fields.iter().any(|field| field.sensitive)
}

/// The members that a constructor takes.
pub(super) fn required(object: &Object) -> impl Iterator<Item = &Field> {
    object.fields.iter().filter(|field| {
        matches!(field.presence, Presence::Required | Presence::Nullable) && field.constant.is_none()
    })
}

/// The members that have a setter.
pub(super) fn optional(object: &Object) -> impl Iterator<Item = &Field> {
    object.fields.iter().filter(|field| {
        matches!(field.presence, Presence::Optional | Presence::Patch) && field.constant.is_none()
    })
}

fn constructor(def: &TypeDef, object: &Object) -> TokenStream {
    let mut parameters = Vec::new();
    let mut values = Vec::new();
    for field in &object.fields {
        let name = format_ident!("{}", field.name);
        match (&field.constant, field.presence) {
            (Some(constant), Presence::Required) => {
                let value = fields::constant(constant);
                values.push(quote!(#name: #value));
            }
            (_, Presence::Required) => {
                let argument = types::argument(&field.ty, &name);
                let (ty, value) = (argument.ty, argument.value);
                parameters.push(quote!(#name: #ty));
                values.push(types::initializer(&name, &value));
            }
            (_, Presence::Nullable) => {
                let ty = types::member(&field.ty, field.presence);
                parameters.push(quote!(#name: #ty));
                values.push(quote!(#name));
            }
            (_, Presence::Optional) => values.push(quote!(#name: None)),
            (_, Presence::Patch) => values.push(quote!(#name: Patch::Absent)),
        }
    }
    let ty = format_ident!("{}", def.name);
    let doc = Doc::line(constructor_doc(object)).outer();
    let setters = optional(object).map(setter);
    let default = parameters.is_empty().then(|| {
        quote! {
            impl Default for #ty {
                fn default() -> Self {
                    Self::new()
                }
            }
        }
    });
    quote! {
        impl #ty {
            #doc
            pub fn new(#(#parameters),*) -> Self {
                Self { #(#values,)* extra: Extra::new() }
            }
            #(#setters)*
        }
        #default
    }
}

fn constructor_doc(object: &Object) -> &'static str {
    match (required(object).next(), optional(object).next()) {
        (None, None) => "Has no members of its own.",
        (None, Some(_)) => "Nothing is required; setters add what is wanted.",
        (Some(_), None) => "With everything there is.",
        (Some(_), Some(_)) => "With what is required; setters add the rest.",
    }
}

fn setter(field: &Field) -> TokenStream {
    let doc = fields::doc(field).outer();
    let setter = format_ident!("{}", field.setter);
    let name = format_ident!("{}", field.name);
    let argument = types::setter_argument(field, &setter);
    let (ty, value) = (argument.ty, argument.value);
    quote! {
        #doc
        #[must_use]
        pub fn #setter(mut self, #setter: #ty) -> Self {
            self.#name = #value;
            self
        }
    }
}

/// The functions that serde calls when a constant member is missing.
fn defaults(name: &proc_macro2::Ident, object: &Object) -> Option<TokenStream> {
    let functions: Vec<_> = object
        .fields
        .iter()
        .filter_map(|field| {
            let function = fields::default_function(field)?;
            let value = fields::constant(field.constant.as_ref()?);
            let ty = types::rust(&field.ty);
            Some(quote! {
                fn #function() -> #ty {
                    #value
                }
            })
        })
        .collect();
    (!functions.is_empty()).then(|| quote!(impl #name { #(#functions)* }))
}

fn redacted_debug(name: &proc_macro2::Ident, object: &Object) -> TokenStream {
    let text = name.to_string();
    let members = object.fields.iter().map(|field| {
        let (label, member) = (&field.name, format_ident!("{}", field.name));
        if field.sensitive {
            quote!(.field(#label, &Redacted(&self.#member)))
        } else {
            quote!(.field(#label, &self.#member))
        }
    });
    quote! {
        impl fmt::Debug for #name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(#text) #(#members)* .field("extra", &self.extra).finish()
            }
        }
    }
}

fn absent(name: &proc_macro2::Ident, object: &Object) -> TokenStream {
    let members = object.fields.iter().map(|field| {
        let member = format_ident!("{}", field.name);
        let value = match (&field.constant, field.presence) {
            (Some(constant), Presence::Required) => fields::constant(constant),
            (_, Presence::Required) => quote!(crate::lenient::Absent::absent()),
            (_, Presence::Nullable | Presence::Optional) => quote!(None),
            (_, Presence::Patch) => quote!(Patch::Absent),
        };
        quote!(#member: #value)
    });
    quote! {
        impl crate::lenient::Absent for #name {
            fn absent() -> Self {
                Self { #(#members,)* extra: Extra::new() }
            }
        }
    }
}
