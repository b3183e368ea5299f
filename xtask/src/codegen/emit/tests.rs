//! Tests of the generated types: documented samples, laws, redaction.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::types;
use crate::codegen::docs::Doc;
use crate::codegen::ir::{Api, Kind, Sample, Type};
use crate::codegen::lower::SHARED;
use crate::codegen::names;

/// Test modules by name.
pub(super) fn tests(api: &Api) -> BTreeMap<String, TokenStream> {
    let mut groups: BTreeMap<String, BTreeMap<&str, &Sample>> = BTreeMap::new();
    for operation in &api.operations {
        for sample in &operation.samples {
            let is_shared = sample.name.starts_with(SHARED);
            let group = if is_shared { "shared".to_owned() } else { operation.resource.join("_") };
            groups.entry(group).or_default().insert(&sample.name, sample);
        }
    }
    for sample in &api.samples {
        groups.entry("schemas".to_owned()).or_default().insert(&sample.name, sample);
    }
    let mut files = BTreeMap::new();
    let mut modules = vec![format_ident!("laws"), format_ident!("redaction")];
    for (group, samples) in groups {
        let name = format!("samples_{group}");
        modules.push(format_ident!("{name}"));
        files.insert(name, sample_tests(samples.into_values()));
    }
    files.insert("laws".to_owned(), laws(api));
    files.insert("redaction".to_owned(), redaction(api));
    let doc = Doc::line("Tests of the generated types.").inner();
    files.insert("mod".to_owned(), quote!(#doc #(mod #modules;)*));
    files
}

fn sample_tests<'a>(samples: impl Iterator<Item = &'a Sample>) -> TokenStream {
    let tests = samples.map(|sample| {
        let name = format_ident!("{}", sample.name);
        let ty = qualified(&sample.ty);
        let json = raw_string(&sample.json.to_json());
        quote! {
            #[test]
            fn #name() {
                assert_sample::<#ty>(#json);
            }
        }
    });
    let doc = Doc::line("Every documented sample decodes, and encodes to an equal JSON value.").inner();
    quote! {
        #doc
        use crate::laws::assert_sample;
        #(#tests)*
    }
}

/// A raw string literal, so that JSON stays readable.
fn raw_string(text: &str) -> TokenStream {
    let hashes = (1..).map(|count| "#".repeat(count)).find(|hashes| !text.contains(&format!("\"{hashes}")));
    let hashes = hashes.unwrap_or_default();
    // A text that would need more signs around it than Rust takes is written with escapes.
    format!("r{hashes}\"{text}\"{hashes}").parse().unwrap_or_else(|_| quote!(#text))
}

/// The type with paths that need no imports.
fn qualified(ty: &Type) -> TokenStream {
    match ty {
        Type::List(item) => {
            let item = qualified(item);
            quote!(crate::List<#item>)
        }
        Type::Named(_) | Type::JsonObject => {
            let ty = types::rust(ty);
            quote!(crate::#ty)
        }
        _ => types::rust(ty),
    }
}

fn laws(api: &Api) -> TokenStream {
    let of = |wanted: fn(&Kind) -> bool| -> Vec<_> {
        api.types.iter().filter(|def| wanted(&def.kind)).map(|def| format_ident!("{}", def.name)).collect()
    };
    let ids = of(|kind| matches!(kind, Kind::Id { .. }));
    let enums = of(|kind| matches!(kind, Kind::Enum { .. }));
    let objects = of(|kind| matches!(kind, Kind::Object(_)));
    let tagged = of(|kind| matches!(kind, Kind::Tagged(_)));
    let shapes = of(|kind| matches!(kind, Kind::Shape(_)));
    let doc = Doc::line("Laws that every type keeps, whatever its values are.").inner();
    let calls = [
        ("ids", ids),
        ("enums", enums),
        ("objects", objects),
        ("tagged_unions", tagged),
        ("shape_unions", shapes),
    ];
    let calls = calls.iter().filter(|(_, names)| !names.is_empty()).map(|(kind, names)| {
        let kind = format_ident!("{kind}");
        quote!(laws!(#kind, [#(#names),*]);)
    });
    quote! {
        #doc
        use crate::laws::laws;
        use crate::*;
        #(#calls)*
    }
}

fn redaction(api: &Api) -> TokenStream {
    let mut tests = Vec::new();
    for def in &api.types {
        if let Kind::Shape(union) = &def.kind {
            let (ty, snake) = (format_ident!("{}", def.name), names::snake(&def.name));
            for member in union.members.iter().filter(|member| member.sensitive) {
                let test = format_ident!("{}_of_{snake}", names::snake(&member.name));
                let canary = canary(&member.ty);
                tests.push(quote! {
                    #[test]
                    fn #test() {
                        assert_redacted::<crate::#ty>(json!(#canary));
                    }
                });
            }
        }
        let Kind::Object(object) = &def.kind else { continue };
        for field in object.fields.iter().filter(|field| field.sensitive) {
            let (ty, wire) = (format_ident!("{}", def.name), &field.wire);
            let test = format_ident!("{}_of_{}", field.name, names::snake(&def.name));
            let canary = canary(&field.ty);
            tests.push(quote! {
                #[test]
                fn #test() {
                    assert_member_redacted::<crate::#ty>(#wire, json!(#canary));
                }
            });
        }
    }
    let doc = Doc::line("No sensitive member is ever printed by `Debug`.").inner();
    let has_numbers = tests.iter().any(|test| test.to_string().contains("CANARY_NUMBER"));
    let numbers = has_numbers.then(|| {
        quote!(
            use crate::laws::CANARY_NUMBER;
        )
    });
    quote! {
        #doc
        use serde_json::json;
        use crate::laws::{assert_member_redacted, assert_redacted, CANARY};
        #numbers
        #(#tests)*
    }
}

/// JSON of a type, with the canary wherever there is text.
fn canary(ty: &Type) -> TokenStream {
    match ty {
        Type::Array(item) => {
            let item = canary(item);
            quote!([#item])
        }
        Type::JsonObject | Type::Map(_) => quote!({ CANARY: CANARY }),
        Type::U64 => quote!(CANARY_NUMBER),
        _ => quote!(CANARY),
    }
}
