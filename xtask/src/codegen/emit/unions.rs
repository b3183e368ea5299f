//! Tagged unions and shape unions.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::{Imports, types};
use crate::codegen::docs::{self, Doc};
use crate::codegen::ir::{
    Api, JsonKind, Kind, ShapeMember, ShapeUnion, TaggedMember, TaggedUnion, Type, TypeDef,
};

pub(super) fn tagged(api: &Api, def: &TypeDef, union: &TaggedUnion) -> TokenStream {
    let name = format_ident!("{}", def.name);
    let doc = Doc::description(&def.description)
        .and(match &union.default {
            None => format!("The member `{}` says which one it is.", union.tag),
            Some(default) => {
                format!("The member `{}` says which one it is; without it, `{default}`.", union.tag)
            }
        })
        .outer();
    let tag = &union.tag;
    let default = match &union.default {
        Some(tag) => quote!(Some(#tag)),
        None => quote!(None),
    };
    let variants: Vec<_> = union.members.iter().map(|member| format_ident!("{}", member.name)).collect();
    let tys: Vec<_> = union.members.iter().map(|member| format_ident!("{}", member.ty)).collect();
    let wires: Vec<_> = union.members.iter().map(|member| &member.wire).collect();
    let by_name = api.by_name();
    let docs = union.members.iter().map(|member| {
        let own = member.description.as_deref();
        let of_type = || by_name.get(member.ty.as_str()).map(|def| def.description.as_str());
        let description = docs::summary(own.or_else(of_type).unwrap_or_default());
        Doc::line(format!("`{}`: {}", member.wire, docs::behind_colon(&description))).outer()
    });
    let decoders = union
        .members
        .iter()
        .map(|member| if member.carries_tag { quote!(decode_with_tag) } else { quote!(decode) });
    let writers = union.members.iter().map(|member| {
        let (variant, wire) = (format_ident!("{}", member.name), &member.wire);
        if member.carries_tag {
            quote!(Self::#variant(member) => member.serialize(serializer))
        } else {
            quote!(Self::#variant(member) => tagged::serialize(#tag, #wire, member, serializer))
        }
    });
    let conversions = union.members.iter().filter(|member| has_one_tag(union, member)).map(|member| {
        let (variant, ty) = (format_ident!("{}", member.name), format_ident!("{}", member.ty));
        quote! {
            impl From<#ty> for #name {
                fn from(member: #ty) -> Self {
                    Self::#variant(member)
                }
            }
        }
    });
    quote! {
        #doc
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum #name {
            #(#docs #variants(#tys),)*
            /// An object whose tag this version does not know.
            Unrecognized(RawMember),
        }

        impl Tagged for #name {
            const TAG: &'static str = #tag;
            const DEFAULT: Option<&'static str> = #default;

            fn decode<'de, A: MapAccess<'de>>(members: Members<A>) -> Result<Self, A::Error> {
                match members.tag() {
                    #(#wires => members.#decoders().map(Self::#variants),)*
                    _ => members.into_raw().map(Self::Unrecognized),
                }
            }
        }

        impl<'de> Deserialize<'de> for #name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                tagged::deserialize(deserializer)
            }
        }

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    #(#writers,)*
                    Self::Unrecognized(member) => member.serialize(serializer),
                }
            }
        }

        #(#conversions)*
    }
}

/// A type with several tags could be any of them.
fn has_one_tag(union: &TaggedUnion, member: &TaggedMember) -> bool {
    union.members.iter().filter(|other| other.ty == member.ty).count() == 1
}

pub(super) fn tagged_imports(union: &TaggedUnion, imports: &mut Imports) {
    imports.uses.insert("serde::de::MapAccess");
    imports.uses.extend([
        "crate::union::tagged::self",
        "crate::union::tagged::Members",
        "crate::union::tagged::Tagged",
    ]);
    imports.serde.extend(["Deserialize", "Deserializer", "Serialize", "Serializer"]);
    imports.own("RawMember");
    union.members.iter().for_each(|member| imports.own(member.ty.as_str()));
}

pub(super) fn shape(api: &Api, def: &TypeDef, union: &ShapeUnion) -> TokenStream {
    let name = format_ident!("{}", def.name);
    let doc = Doc::description(&def.description).outer();
    let variants = union.members.iter().map(|member| {
        let doc = Doc::line(docs::inline(&member.description)).outer();
        let (variant, ty) = (format_ident!("{}", member.name), types::rust(&member.ty));
        quote!(#doc #variant(#ty))
    });
    let expecting =
        union.members.iter().map(|member| with_article(member.json_kind)).collect::<Vec<_>>().join(" or ");
    let readers = union.members.iter().map(reader);
    let writers = union.members.iter().map(|member| {
        let variant = format_ident!("{}", member.name);
        quote!(Self::#variant(value) => value.serialize(serializer))
    });
    let debug = shape_debug(&name, def, union);
    let redact = def.is_redacted.then(|| shape_redact(&name, union));
    let absent = def.has_absent.then(|| {
        quote! {
            impl crate::lenient::Absent for #name {
                fn absent() -> Self {
                    Self::Unrecognized(Value::Null)
                }
            }
        }
    });
    let conversions = union.members.iter().map(|member| conversions(api, &name, member));
    quote! {
        #doc
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub enum #name {
            #(#variants,)*
            /// A JSON kind that this version does not expect here.
            Unrecognized(Value),
        }

        impl Shape for #name {
            const EXPECTING: &'static str = #expecting;

            fn unrecognized(value: Value) -> Self {
                Self::Unrecognized(value)
            }

            #(#readers)*
        }

        impl<'de> Deserialize<'de> for #name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                shape::deserialize(deserializer)
            }
        }

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    #(#writers,)*
                    Self::Unrecognized(value) => value.serialize(serializer),
                }
            }
        }

        #debug
        #redact
        #absent
        #(#conversions)*
    }
}

pub(super) fn shape_imports(api: &Api, def: &TypeDef, union: &ShapeUnion, imports: &mut Imports) {
    imports.uses.extend(["std::fmt", "serde_json::Value", "crate::redact::Redacted"]);
    imports.uses.extend(["crate::union::shape::self", "crate::union::shape::Shape"]);
    imports.serde.extend(["Deserialize", "Deserializer", "Serialize", "Serializer"]);
    if def.is_redacted {
        imports.uses.insert("crate::redact::Redact");
    }
    for member in &union.members {
        types::imports(&member.ty, imports);
        inner_members(api, member).for_each(|inner| imports.own(inner.ty.as_str()));
        match member.json_kind {
            JsonKind::String if member.ty == Type::String => {
                imports.uses.insert("serde::de::Error");
            }
            JsonKind::String => {
                imports.uses.extend(["serde::de::Error", "serde::de::IntoDeserializer"]);
            }
            JsonKind::Integer => {}
            JsonKind::Array => {
                imports.uses.extend(["serde::de::SeqAccess", "serde::de::value::SeqAccessDeserializer"]);
            }
            JsonKind::Object => {
                imports.uses.extend(["serde::de::MapAccess", "serde::de::value::MapAccessDeserializer"]);
            }
        }
    }
}

fn with_article(kind: JsonKind) -> &'static str {
    match kind {
        JsonKind::String => "a string",
        JsonKind::Integer => "a whole number",
        JsonKind::Array => "an array",
        JsonKind::Object => "an object",
    }
}

fn reader(member: &ShapeMember) -> TokenStream {
    let variant = format_ident!("{}", member.name);
    match member.json_kind {
        JsonKind::String if member.ty == Type::String => quote! {
            fn text<E: Error>(text: String) -> Result<Self, E> {
                Ok(Self::#variant(text))
            }
        },
        JsonKind::String => quote! {
            fn text<E: Error>(text: String) -> Result<Self, E> {
                Deserialize::deserialize(text.into_deserializer()).map(Self::#variant)
            }
        },
        JsonKind::Integer => quote! {
            fn integer(number: u64) -> Self {
                Self::#variant(number)
            }
        },
        JsonKind::Array => quote! {
            fn array<'de, A: SeqAccess<'de>>(items: SeqAccessDeserializer<A>) -> Result<Self, A::Error> {
                Deserialize::deserialize(items).map(Self::#variant)
            }
        },
        JsonKind::Object => quote! {
            fn object<'de, A: MapAccess<'de>>(members: MapAccessDeserializer<A>) -> Result<Self, A::Error> {
                Deserialize::deserialize(members).map(Self::#variant)
            }
        },
    }
}

/// `Debug` without sensitive text, and without the JSON of what is not recognized: that may be anything.
fn shape_debug(name: &proc_macro2::Ident, def: &TypeDef, union: &ShapeUnion) -> TokenStream {
    let arms = union.members.iter().map(|member| {
        let (variant, label) = (format_ident!("{}", member.name), &member.name);
        let is_sensitive = member.sensitive || def.is_redacted && is_measurable(&member.ty);
        let value = if is_sensitive { quote!(&Redacted(value)) } else { quote!(value) };
        quote!(Self::#variant(value) => f.debug_tuple(#label).field(#value).finish())
    });
    quote! {
        impl fmt::Debug for #name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    #(#arms,)*
                    Self::Unrecognized(value) => f.debug_tuple("Unrecognized").field(&Redacted(value)).finish(),
                }
            }
        }
    }
}

/// Whether it can be said how much of it there is.
fn is_measurable(ty: &Type) -> bool {
    matches!(ty, Type::String | Type::Array(_) | Type::JsonObject | Type::Map(_))
}

/// How much there is, for a union that stands in a sensitive member.
fn shape_redact(name: &proc_macro2::Ident, union: &ShapeUnion) -> TokenStream {
    let arms = union.members.iter().map(|member| {
        let variant = format_ident!("{}", member.name);
        if is_measurable(&member.ty) {
            quote!(Self::#variant(value) => value.redacted(f))
        } else {
            let text = format!("<{}>", with_article(member.json_kind));
            quote!(Self::#variant(_) => f.write_str(#text))
        }
    });
    quote! {
        impl Redact for #name {
            fn redacted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    #(#arms,)*
                    Self::Unrecognized(value) => value.redacted(f),
                }
            }
        }
    }
}

/// Texts and lists are taken as they are at hand: `&str`, an array of what the items can be made of.
fn conversions(api: &Api, name: &proc_macro2::Ident, member: &ShapeMember) -> TokenStream {
    let (variant, ty) = (format_ident!("{}", member.name), types::rust(&member.ty));
    if let Type::Array(item) = &member.ty {
        let item = types::rust(item);
        return quote! {
            impl<T: Into<#item>> From<Vec<T>> for #name {
                fn from(items: Vec<T>) -> Self {
                    Self::#variant(items.into_iter().map(Into::into).collect())
                }
            }

            impl<T: Into<#item>, const N: usize> From<[T; N]> for #name {
                fn from(items: [T; N]) -> Self {
                    Self::#variant(items.into_iter().map(Into::into).collect())
                }
            }
        };
    }
    let from_str = (member.ty == Type::String).then(|| {
        quote! {
            impl From<&str> for #name {
                fn from(text: &str) -> Self {
                    Self::#variant(text.to_owned())
                }
            }
        }
    });
    let inner = inner_conversions(api, name, member);
    quote! {
        #from_str

        impl From<#ty> for #name {
            fn from(value: #ty) -> Self {
                Self::#variant(value)
            }
        }
        #inner
    }
}

/// What a tagged union inside the union can be made of makes the outer one too.
fn inner_conversions(api: &Api, name: &proc_macro2::Ident, member: &ShapeMember) -> TokenStream {
    let variant = format_ident!("{}", member.name);
    let tys = inner_members(api, member).map(|inner| format_ident!("{}", inner.ty));
    tys.map(|ty| {
        quote! {
            impl From<#ty> for #name {
                fn from(value: #ty) -> Self {
                    Self::#variant(value.into())
                }
            }
        }
    })
    .collect()
}

/// The members of a tagged union inside a shape union that it can be made of.
fn inner_members<'a>(api: &'a Api, member: &ShapeMember) -> impl Iterator<Item = &'a TaggedMember> {
    let inner = member.ty.innermost_name().filter(|_| matches!(member.ty, Type::Named(_)));
    let def = inner.and_then(|inner| api.types.iter().find(|def| def.name == inner));
    let union = def.and_then(|def| match &def.kind {
        Kind::Tagged(union) => Some(union),
        _ => None,
    });
    union.into_iter().flat_map(|union| union.members.iter().filter(|member| has_one_tag(union, member)))
}
