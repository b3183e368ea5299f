//! The names that the generator knows of hand-written code are those that are there.

use std::collections::BTreeSet;
use std::fs;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::codegen::lower::CALL_METHODS;
use crate::codegen::{emit, names, read};
use crate::process::workspace;

fn parse(path: &str) -> syn::File {
    let text = fs::read_to_string(workspace().join(path)).unwrap();
    syn::parse_file(&text).unwrap()
}

/// The names of the functions in the body of a macro.
fn functions(tokens: TokenStream) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_function = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => names.extend(functions(group.stream())),
            TokenTree::Ident(name) if is_function => names.push(name.to_string()),
            token => {
                is_function = matches!(&token, TokenTree::Ident(word) if word == "fn");
                continue;
            }
        }
        is_function = false;
    }
    names
}

/// The functions of a call that are no trait's.
fn of_call(item: &syn::Item) -> Vec<String> {
    match item {
        syn::Item::Macro(item) if item.ident.as_ref().is_some_and(|name| name == "call_options") => {
            functions(item.mac.tokens.clone())
        }
        syn::Item::Impl(item) if item.trait_.is_none() => {
            let name = |member: &syn::ImplItem| match member {
                syn::ImplItem::Fn(function) => Some(function.sig.ident.to_string()),
                _ => None,
            };
            let syn::Type::Path(path) = &*item.self_ty else { return Vec::new() };
            let is_call = path.path.segments.last().is_some_and(|segment| segment.ident == "Call");
            item.items.iter().filter(|_| is_call).filter_map(name).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn no_setter_can_have_the_name_of_an_option_of_every_call() {
    let files = ["options", "call"].map(|file| parse(&format!("crates/zumik-client/src/{file}.rs")));
    let methods: Vec<_> = files.iter().flat_map(|file| &file.items).flat_map(of_call).collect();
    assert!(methods.contains(&"timeout".to_owned()) && methods.contains(&"send".to_owned()), "{methods:?}");
    let unknown: Vec<_> = methods.iter().filter(|name| !CALL_METHODS.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "not in CALL_METHODS: {unknown:?}");
}

/// What files import and define.
#[derive(Default)]
struct Names {
    imported: BTreeSet<String>,
    defined: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_use_name(&mut self, name: &'ast syn::UseName) {
        self.imported.insert(name.ident.to_string());
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.defined.insert(item.ident.to_string());
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.defined.insert(item.ident.to_string());
        visit::visit_item_enum(self, item);
    }
}

#[test]
fn no_type_can_hide_one_that_generated_code_imports() {
    let mut seen = Names::default();
    for code in emit::emit(&read(workspace()).unwrap()).into_values() {
        seen.visit_file(&syn::parse2(code).unwrap());
    }
    // What every file of the crate sees, and what its users do.
    let exported = parse("crates/zumik-types/src/lib.rs");
    exported.items.iter().for_each(|item| seen.visit_item(item));
    let is_type = |name: &&String| name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
    let by_hand = seen.imported.difference(&seen.defined).filter(is_type);
    let unknown: Vec<_> = by_hand.filter(|name| !names::is_reserved(name)).collect();
    assert!(unknown.is_empty(), "not in RESERVED: {unknown:?}");
}
