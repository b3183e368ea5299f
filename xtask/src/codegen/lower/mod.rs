//! From the document to the IR. Whatever the generator does not know is an error here, never a guess.

mod absent;
mod check;
mod finish;
mod object;
mod operation;
mod response;
mod rules;
mod schema;
mod union;

use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
pub(crate) use check::CALL_METHODS;
use indexmap::IndexMap;
pub(crate) use response::SHARED;

use super::document::{Document, Fields, Node};
use super::error::Result;
use super::ir::{Api, Kind, Sample, Type, TypeDef, Variant};
use super::names;

/// The module of types that no operation reaches.
const UNREACHED: &str = "common";
/// The module of the ids.
const IDS: &str = "ids";
/// The enum of all values of members called `object`.
pub(crate) const OBJECT_TYPE: &str = "ObjectType";

/// Lowers a whole document.
pub(crate) fn lower(document: &Document) -> Result<Api> {
    let root = document.root().fields()?;
    let resources = head(&root)?;
    let mut lowering = Lowering::new(document);
    let operations = lowering.operations(&root.require("paths")?)?;
    lowering.components(&root.require("components")?)?;
    root.finish()?;
    let samples = std::mem::take(&mut lowering.samples);
    let handwritten = std::mem::take(&mut lowering.handwritten);
    let types = lowering.into_types();
    finish::finish(document, Api { types, operations, resources, samples }, &handwritten)
}

/// The members of the document that say nothing about types; gives what the sub-clients are for.
fn head(root: &Fields<'_>) -> Result<BTreeMap<String, String>> {
    root.require("openapi")?;
    root.require("info")?;
    for name in ["servers", "security", "tags", "externalDocs"] {
        root.get(name);
    }
    let resources = root.require("x-resources")?.entries()?;
    resources.into_iter().map(|(path, text)| Ok((path.to_owned(), text.text()?.to_owned()))).collect()
}

/// The types that were found so far.
struct Lowering<'d> {
    document: &'d Document,
    /// Component schemas that were lowered, or are being lowered, with the type that a reference to them has.
    references: IndexMap<&'d str, Type>,
    /// Components whose type is written by hand.
    handwritten: BTreeSet<&'d str>,
    /// Named types. `None` while the type is being lowered.
    types: IndexMap<String, Option<TypeDef>>,
    object_types: Vec<Variant>,
    /// Samples that stand at schemas.
    samples: Vec<Sample>,
    /// The module of the operation that is being lowered.
    module: String,
}

impl<'d> Lowering<'d> {
    fn new(document: &'d Document) -> Self {
        Self {
            document,
            references: IndexMap::new(),
            handwritten: BTreeSet::new(),
            types: IndexMap::new(),
            object_types: Vec::new(),
            samples: Vec::new(),
            module: UNREACHED.to_owned(),
        }
    }

    /// Lowers the components that no operation has reached.
    fn components(&mut self, components: &Node<'d>) -> Result<()> {
        let components = components.fields()?;
        self.module = UNREACHED.to_owned();
        if let Some(schemas) = components.get("schemas") {
            for (name, node) in schemas.entries()? {
                self.component(name, &node)?;
            }
        }
        for section in ["parameters", "headers", "responses", "requestBodies", "examples", "securitySchemes"]
        {
            components.get(section);
        }
        components.finish()
    }

    /// Reserves a name while its type is being lowered.
    fn reserve(&mut self, name: &str, node: &Node<'_>) -> Result<()> {
        names::type_name(name, node)?;
        if names::is_reserved(name) {
            let hint = "rename the component, or give the inline schema a name of its own as a component";
            return Err(node.error(format!("{name} is a type that stands beside the generated ones"), hint));
        }
        if self.types.insert(name.to_owned(), None).is_some() {
            let hint = "rename the component, or give the inline schema a name of its own as a component";
            return Err(node.error(format!("two types are called {name}"), hint));
        }
        Ok(())
    }

    fn define(&mut self, name: &str, description: &str, kind: Kind) {
        let module = if matches!(kind, Kind::Id { .. }) { IDS } else { &self.module };
        let def = TypeDef {
            name: name.to_owned(),
            description: description.to_owned(),
            module: module.to_owned(),
            in_requests: false,
            is_request: false,
            is_redacted: false,
            has_absent: false,
            kind,
        };
        self.types.insert(name.to_owned(), Some(def));
    }

    /// The variant of `ObjectType` for a value of a member called `object`.
    fn object_type(&mut self, wire: &str, node: &Node<'_>) -> Result<String> {
        if let Some(known) = self.object_types.iter().find(|variant| variant.wire == wire) {
            return Ok(known.name.clone());
        }
        let name = names::variant(wire, node)?;
        self.object_types.push(Variant { wire: wire.to_owned(), name: name.clone(), description: None });
        Ok(name)
    }

    fn into_types(mut self) -> Vec<TypeDef> {
        let description = "What an object is: the value of its member `object`.";
        let mut variants = std::mem::take(&mut self.object_types);
        variants.sort_by(|a, b| a.wire.cmp(&b.wire));
        self.module = UNREACHED.to_owned();
        self.define(OBJECT_TYPE, description, Kind::Enum { variants });
        self.types.into_values().flatten().collect()
    }
}
