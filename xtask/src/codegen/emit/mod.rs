//! From the IR to Rust files. Nothing here can fail: the IR has been checked.

mod arbitrary;
mod client;
mod enums;
mod fields;
mod ids;
mod objects;
mod operations;
mod tests;
mod types;
mod unions;

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::docs::Doc;
use super::ir::{Api, Kind, TypeDef};

/// Source texts by path from the root of the workspace.
pub(crate) type Sources = BTreeMap<String, TokenStream>;

const TYPES: &str = "crates/zumik-types/src/generated";
const CLIENT: &str = "crates/zumik-client/src/generated";

/// The folders that belong to the generator alone: whatever else lies in them is removed.
pub(crate) const FOLDERS: &[&str] = &[TYPES, CLIENT];

/// Every generated file.
pub(crate) fn emit(api: &Api) -> Sources {
    let mut sources = Sources::new();
    let mut modules: BTreeMap<&str, Vec<&TypeDef>> = BTreeMap::new();
    for def in &api.types {
        modules.entry(&def.module).or_default().push(def);
    }
    for (module, defs) in &modules {
        sources.insert(format!("{TYPES}/{module}.rs"), models(api, module, defs));
        if defs.iter().any(|def| matches!(def.kind, Kind::Object(_) | Kind::Tagged(_) | Kind::Shape(_))) {
            sources.insert(format!("{TYPES}/arbitrary/{module}.rs"), arbitrary::module(module, defs));
        }
    }
    let operations = operations::operations(api).into_iter();
    sources.extend(operations.map(|(name, code)| (format!("{TYPES}/operations/{name}.rs"), code)));
    sources.insert(format!("{TYPES}/arbitrary/mod.rs"), arbitrary::index(&modules));
    sources
        .extend(tests::tests(api).into_iter().map(|(name, code)| (format!("{TYPES}/tests/{name}.rs"), code)));
    sources.insert(format!("{TYPES}/mod.rs"), index(&modules));
    sources.extend(client::client(api).into_iter().map(|(path, code)| (format!("{CLIENT}/{path}.rs"), code)));
    sources
}

fn index(modules: &BTreeMap<&str, Vec<&TypeDef>>) -> TokenStream {
    let doc =
        Doc::line("Everything that is generated from the OpenAPI document, one module a resource group.")
            .inner();
    let names: Vec<_> = modules.keys().map(|name| format_ident!("{name}")).collect();
    quote! {
        #doc
        #[cfg(any(test, feature = "proptest"))]
        mod arbitrary;
        #[cfg(test)]
        mod tests;

        #(mod #names;)*
        pub mod operations;
        #(pub use #names::*;)*
    }
}

/// The types of one module.
fn models(api: &Api, module: &str, defs: &[&TypeDef]) -> TokenStream {
    let items: Vec<_> = defs.iter().map(|def| definition(api, def)).collect();
    let mut imports = Imports::default();
    defs.iter().for_each(|def| imports.definition(api, def));
    let imports = imports.without(defs.iter().map(|def| def.name.as_str()));
    let doc = Doc::line(module_doc(module)).inner();
    quote! {
        #doc
        #imports
        #(#items)*
    }
}

/// `purge_jobs` is "Purge jobs."
fn module_doc(module: &str) -> String {
    let words = module.replace('_', " ");
    let (first, rest) = words.split_at(1);
    format!("{}{rest}.", first.to_uppercase())
}

fn definition(api: &Api, def: &TypeDef) -> TokenStream {
    match &def.kind {
        Kind::Id { prefixes } => ids::id(def, prefixes),
        Kind::Enum { variants } => enums::open_enum(def, variants),
        Kind::Object(object) => objects::object(def, object),
        Kind::Tagged(union) => unions::tagged(api, def, union),
        Kind::Shape(union) => unions::shape(api, def, union),
    }
}

/// What a file has to import.
#[derive(Debug)]
struct Imports {
    /// Where generated types come from: `crate`, or the name of the crate.
    crate_name: &'static str,
    /// Generated types.
    own: BTreeSet<String>,
    serde: BTreeSet<&'static str>,
    uses: BTreeSet<&'static str>,
}

impl Default for Imports {
    fn default() -> Self {
        Self { crate_name: "crate", own: BTreeSet::new(), serde: BTreeSet::new(), uses: BTreeSet::new() }
    }
}

impl Imports {
    fn definition(&mut self, api: &Api, def: &TypeDef) {
        match &def.kind {
            Kind::Id { .. } => {
                self.uses.insert("std::sync::Arc");
                self.uses.insert("crate::id::id");
            }
            Kind::Enum { .. } => {
                self.uses.insert("crate::open_enum::open_enum");
            }
            Kind::Object(object) => objects::imports(object, self),
            Kind::Tagged(union) => unions::tagged_imports(union, self),
            Kind::Shape(union) => unions::shape_imports(api, def, union, self),
        }
    }

    fn own(&mut self, name: impl Into<String>) {
        self.own.insert(name.into());
    }

    /// The `use` items, without what the file defines itself.
    fn without<'n>(mut self, defined: impl IntoIterator<Item = &'n str>) -> TokenStream {
        for name in defined {
            self.own.remove(name);
        }
        let mut modules: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for path in &self.uses {
            let (module, name) = path.rsplit_once("::").unwrap_or((path, "self"));
            modules.entry(module).or_default().insert(name);
        }
        modules.entry("serde").or_default().extend(&self.serde);
        modules.entry(self.crate_name).or_default().extend(self.own.iter().map(String::as_str));
        let tree = |(module, names): (&&str, &BTreeSet<&str>)| -> Option<TokenStream> {
            let names = names.iter().copied().collect::<Vec<_>>().join(", ");
            (!names.is_empty()).then(|| format!("use {module}::{{{names}}};").parse().expect("a `use` item"))
        };
        // The order of the workspace: the standard library, other crates, this one.
        let place = |module: &str| {
            if module.starts_with("std") { 0 } else { 1 + usize::from(module.starts_with("crate")) }
        };
        let mut ordered: Vec<_> = modules.iter().collect();
        ordered.sort_by_key(|(module, _)| (place(module), **module));
        ordered.into_iter().filter_map(tree).collect()
    }
}
