//! `proptest` strategies.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::{Imports, fields};
use crate::codegen::docs::Doc;
use crate::codegen::ir::{Constant, Field, Kind, Object, Presence, ShapeUnion, TaggedUnion, Type, TypeDef};

/// A tuple of strategies is a strategy up to this many.
const TUPLE: usize = 10;

pub(super) fn index(modules: &BTreeMap<&str, Vec<&TypeDef>>) -> TokenStream {
    let has_strategies = |def: &TypeDef| !matches!(def.kind, Kind::Id { .. } | Kind::Enum { .. });
    let names = modules.iter().filter(|(_, defs)| defs.iter().any(|def| has_strategies(def)));
    let names = names.map(|(name, _)| format_ident!("{name}"));
    let doc = Doc::line("`proptest` strategies, one module for each module of types.").inner();
    quote!(#doc #(mod #names;)*)
}

pub(super) fn module(module: &str, defs: &[&TypeDef]) -> TokenStream {
    let mut imports = Imports::default();
    let items: Vec<_> = defs
        .iter()
        .filter_map(|def| {
            let strategy = match &def.kind {
                Kind::Object(object) => object_strategy(object),
                Kind::Tagged(union) => tagged_strategy(union),
                Kind::Shape(union) => shape_strategy(union),
                Kind::Id { .. } | Kind::Enum { .. } => return None,
            };
            imports.own(def.name.as_str());
            mentioned(&def.kind, &mut imports);
            let name = format_ident!("{}", def.name);
            Some(quote! {
                impl Arbitrary for #name {
                    type Parameters = ();
                    type Strategy = BoxedStrategy<Self>;

                    fn arbitrary_with((): ()) -> Self::Strategy {
                        #strategy
                    }
                }
            })
        })
        .collect();
    let doc = Doc::line(format!("Strategies for the types of `{module}`.")).inner();
    let imports = imports.without([]);
    quote! {
        #doc
        use proptest::prelude::*;
        use crate::arbitrary as a;
        #imports
        #(#items)*
    }
}

/// The types that strategies are asked for.
fn mentioned(kind: &Kind, imports: &mut Imports) {
    let mut ask = |ty: &Type| {
        if let Some(name) = ty.innermost_name() {
            imports.own(name);
        }
    };
    match kind {
        Kind::Object(object) => object.fields.iter().for_each(|field| ask(&field.ty)),
        Kind::Shape(union) => union.members.iter().for_each(|member| ask(&member.ty)),
        Kind::Tagged(union) => union.members.iter().for_each(|member| imports.own(member.ty.as_str())),
        Kind::Id { .. } | Kind::Enum { .. } => {}
    }
}

fn object_strategy(object: &Object) -> TokenStream {
    let mut names: Vec<_> = object.fields.iter().map(|field| format_ident!("{}", field.name)).collect();
    let mut strategies: Vec<_> = object.fields.iter().map(member).collect();
    names.push(format_ident!("extra"));
    strategies.push(quote!(a::extra()));
    let all = names.clone();
    if names.len() == 1 {
        return quote!(a::extra().prop_map(|extra| Self { extra }).boxed());
    }
    let (names, strategies) = (nested(&names), nested(&strategies));
    quote!(#strategies.prop_map(|#names| Self { #(#all),* }).boxed())
}

/// A tuple, of tuples where there are too many.
fn nested(parts: &[impl quote::ToTokens]) -> TokenStream {
    if parts.len() <= TUPLE {
        return quote!((#(#parts),*));
    }
    let tuples = parts.chunks(TUPLE).map(|chunk| match chunk {
        [single] => quote!(#single),
        _ => quote!((#(#chunk),*)),
    });
    quote!((#(#tuples),*))
}

fn member(field: &Field) -> TokenStream {
    let value = match &field.constant {
        Some(constant @ (Constant::Text(_) | Constant::Bool(_))) => {
            let value = fields::constant(constant);
            quote!(Just(#value).boxed())
        }
        _ => strategy(&field.ty),
    };
    match field.presence {
        Presence::Required => value,
        // An optional member cannot tell `null` from being absent.
        Presence::Nullable | Presence::Optional if field.ty == Type::Json => {
            quote!(a::optional(a::json().prop_filter("not null", |json| !json.is_null()).boxed()))
        }
        Presence::Nullable | Presence::Optional => quote!(a::optional(#value)),
        Presence::Patch => quote!(a::patch(#value)),
    }
}

fn strategy(ty: &Type) -> TokenStream {
    match ty {
        Type::String => quote!(a::text()),
        Type::Bool => quote!(a::any::<bool>()),
        Type::U64 => quote!(a::any::<u64>()),
        Type::I64 => quote!(a::any::<i64>()),
        Type::F64 => quote!(a::number()),
        Type::DateTime | Type::UnixTime => quote!(a::time()),
        Type::Json => quote!(a::json()),
        Type::JsonObject => quote!(a::json_object()),
        Type::Array(item) => {
            let item = strategy(item);
            quote!(a::items(#item))
        }
        Type::Map(value) => {
            let value = strategy(value);
            quote!(a::map(#value))
        }
        Type::List(_) | Type::Named(_) => {
            let ty = super::types::rust(ty);
            quote!(a::any::<#ty>())
        }
    }
}

fn tagged_strategy(union: &TaggedUnion) -> TokenStream {
    let tag = &union.tag;
    let members = union.members.iter().map(|member| {
        let (variant, ty) = (format_ident!("{}", member.name), format_ident!("{}", member.ty));
        quote!(a::any::<#ty>().prop_map(Self::#variant))
    });
    quote!(prop_oneof![#(#members,)* a::raw_member(#tag).prop_map(Self::Unrecognized)].boxed())
}

fn shape_strategy(union: &ShapeUnion) -> TokenStream {
    let members = union.members.iter().map(|member| {
        let (variant, strategy) = (format_ident!("{}", member.name), strategy(&member.ty));
        quote!(#strategy.prop_map(Self::#variant))
    });
    quote!(
        prop_oneof![#(#members,)* a::any::<bool>().prop_map(|flag| Self::Unrecognized(flag.into()))].boxed()
    )
}
