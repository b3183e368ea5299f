//! The generator, which reads an OpenAPI document.

use std::collections::HashSet;

use syn::visit::{self, Visit};
use syn::{Fields, File, ImplItem, ItemEnum, ItemImpl, ItemStruct, UseName};

/// The generator makes code of a document, the same each time, in which nothing has two definitions, or says which place of
/// it cannot become code.
pub fn document(input: &[u8]) {
    let Ok(yaml) = std::str::from_utf8(input) else { return };
    match xtask::generated(yaml) {
        Ok(code) => {
            assert_eq!(xtask::generated(yaml).as_ref(), Ok(&code), "two runs give different code");
            for (path, text) in &code {
                let file: File = syn::parse_str(text).unwrap_or_else(|error| panic!("{path}: {error}"));
                Definitions { path, seen: HashSet::new() }.visit_file(&file);
            }
        }
        Err(problem) => {
            let (place, what) = problem.split_once(": ").expect("a place and a problem");
            assert!(place.starts_with('#'), "no place: {problem}");
            assert!(what.contains("hint: "), "no way out: {problem}");
        }
    }
}

/// What a file defines, each with what it is defined in.
struct Definitions<'p> {
    path: &'p str,
    seen: HashSet<(String, String)>,
}

impl Definitions<'_> {
    fn define(&mut self, place: &str, name: &impl ToString) {
        let name = name.to_string();
        let path = self.path;
        assert!(self.seen.insert((place.to_owned(), name.clone())), "{path}: two {name} in {place:?}");
    }
}

impl<'ast> Visit<'ast> for Definitions<'_> {
    fn visit_use_name(&mut self, name: &'ast UseName) {
        // Modules and functions do not clash with types.
        if name.ident.to_string().starts_with(char::is_uppercase) {
            self.define("the file", &name.ident);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.define("the file", &item.ident);
        if let Fields::Named(fields) = &item.fields {
            let place = format!("the fields of {}", item.ident);
            fields.named.iter().flat_map(|field| &field.ident).for_each(|name| self.define(&place, name));
        }
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.define("the file", &item.ident);
        let place = format!("the variants of {}", item.ident);
        item.variants.iter().for_each(|variant| self.define(&place, &variant.ident));
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if item.trait_.is_none() {
            let place = format!("the functions of {}", of(&item.self_ty));
            for member in &item.items {
                if let ImplItem::Fn(function) = member {
                    self.define(&place, &function.sig.ident);
                }
            }
        }
        visit::visit_item_impl(self, item);
    }
}

/// A type with its arguments: `Call<'_, CreateSession>` has other functions than a call of another endpoint.
fn of(ty: &syn::Type) -> String {
    let syn::Type::Path(path) = ty else { return String::new() };
    let mut name = String::new();
    for segment in &path.path.segments {
        name += &segment.ident.to_string();
        let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else { continue };
        for argument in &arguments.args {
            if let syn::GenericArgument::Type(ty) = argument {
                name = format!("{name} {}", of(ty));
            }
        }
    }
    name
}
