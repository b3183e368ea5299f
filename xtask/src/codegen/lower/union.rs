//! Unions: told apart by a tag, or by the JSON kind.

use std::collections::BTreeMap;

use super::Lowering;
use super::schema::Shape;
use crate::codegen::document::{Fields, Node};
use crate::codegen::error::Result;
use crate::codegen::ir::{JsonKind, Kind, ShapeMember, ShapeUnion, TaggedMember, TaggedUnion, Type};
use crate::codegen::names;

/// Checks `x-union: shape`.
pub(super) fn check_form(form: &Node<'_>) -> Result<()> {
    match form.text()? {
        "shape" => Ok(()),
        other => Err(form.error(format!("unknown kind of union {other:?}"), "the only known one is `shape`")),
    }
}

impl<'d> Lowering<'d> {
    pub(super) fn tagged_union(
        &mut self,
        fields: &Fields<'d>,
        branches: &[Node<'d>],
        name: &str,
        description: &str,
    ) -> Result<()> {
        self.reserve(name, fields.node())?;
        let discriminator = fields.require("discriminator")?.fields()?;
        let tag = discriminator.require("propertyName")?.text()?;
        let mapping = discriminator.require("mapping")?;
        discriminator.finish()?;
        let mut references = Vec::new();
        for branch in branches {
            let fields = branch.fields()?;
            let hint = "make the member a component and refer to it";
            let reference =
                fields.get("$ref").ok_or_else(|| branch.error("an inline member of a tagged union", hint))?;
            references.push(reference.text()?);
            fields.finish()?;
        }
        let prefix = fields.text("x-variant-prefix")?.unwrap_or_default();
        let mut descriptions = tag_descriptions(fields, &mapping)?;
        let mut members: Vec<TaggedMember> = Vec::new();
        for (wire, reference) in mapping.entries()? {
            let text = reference.text()?;
            if !references.contains(&text) {
                return Err(reference.error(format!("{text} is not under `oneOf`"), "add it there"));
            }
            let (ty, node) = self.document.resolve("schemas", &reference)?;
            self.component(ty, &node)?;
            let name = names::variant(wire.strip_prefix(prefix).unwrap_or(wire), &reference)?;
            if members.iter().any(|member| member.name == name) {
                let hint = "shorten `x-variant-prefix`, or teach `variant` in xtask/src/codegen/names.rs another name";
                return Err(reference.error(format!("two tags give the variant {name}"), hint));
            }
            let description = descriptions.remove(wire);
            let (wire, ty) = (wire.to_owned(), ty.to_owned());
            members.push(TaggedMember { wire, name, ty, description, carries_tag: true });
        }
        let forgotten =
            |text: &&str| !members.iter().any(|member| text.ends_with(&format!("/{}", member.ty)));
        if let Some(text) = references.into_iter().find(forgotten) {
            let problem = format!("{text} has no tag");
            return Err(mapping.error(problem, "add it to the mapping: nothing else says which tag it has"));
        }
        let default = fields.get("x-default-tag").map(|node| default_tag(&node, &members)).transpose()?;
        let union = TaggedUnion { tag: tag.to_owned(), default, members };
        self.define(name, description, Kind::Tagged(union));
        Ok(())
    }

    pub(super) fn shape_union(&mut self, branches: &[Node<'d>], name: &str, description: &str) -> Result<()> {
        let mut members: Vec<ShapeMember> = Vec::new();
        for branch in branches {
            let fields = branch.fields()?;
            let title = fields.require("title")?;
            let variant = title.text()?;
            names::type_name(variant, &title)?;
            if variant == names::UNRECOGNIZED || members.iter().any(|other| other.name == variant) {
                let problem = format!("{variant} is the variant of something else already");
                return Err(title.error(problem, "choose another `title`"));
            }
            let description = fields.require("description")?.text()?;
            let shape = self.shape(&fields, &format!("{name}{variant}"), Some(description))?;
            let sensitive = shape.sensitive;
            let ty = Shape { sensitive: false, ..shape }.only_type(branch)?;
            let Some(json_kind) = self.json_kind(&ty) else {
                let hint = "a string, a whole number from 0, an array or an object";
                let problem = "a member that is neither string nor whole number nor array nor object";
                return Err(branch.error(problem, hint));
            };
            if let Some(twin) = members.iter().find(|member| member.json_kind == json_kind) {
                let problem = format!("{} and {variant} have the same JSON kind", twin.name);
                return Err(branch.error(problem, "use a tagged union for several objects"));
            }
            members.push(ShapeMember {
                name: variant.to_owned(),
                description: description.to_owned(),
                json_kind,
                ty,
                sensitive,
            });
            fields.finish()?;
        }
        if let Some(first) = branches.first() {
            self.reserve(name, first)?;
        }
        self.define(name, description, Kind::Shape(ShapeUnion { members }));
        Ok(())
    }

    fn json_kind(&self, ty: &Type) -> Option<JsonKind> {
        match ty {
            Type::String => Some(JsonKind::String),
            Type::U64 => Some(JsonKind::Integer),
            Type::Array(_) => Some(JsonKind::Array),
            Type::JsonObject | Type::Map(_) => Some(JsonKind::Object),
            Type::Named(name) => match self.types.get(name)?.as_ref()?.kind {
                Kind::Id { .. } | Kind::Enum { .. } => Some(JsonKind::String),
                Kind::Object(_) | Kind::Tagged(_) => Some(JsonKind::Object),
                Kind::Shape(_) => None,
            },
            _ => None,
        }
    }
}

/// What the tags mean, where the types of the members do not say enough.
fn tag_descriptions(fields: &Fields<'_>, mapping: &Node<'_>) -> Result<BTreeMap<String, String>> {
    let Some(node) = fields.get("x-tag-descriptions") else { return Ok(BTreeMap::new()) };
    let tags = mapping.entries()?;
    let mut descriptions = BTreeMap::new();
    for (wire, text) in node.entries()? {
        if !tags.iter().any(|(tag, _)| *tag == wire) {
            return Err(text.error(format!("{wire:?} is no tag of this union"), "use one of the mapping"));
        }
        descriptions.insert(wire.to_owned(), text.text()?.to_owned());
    }
    Ok(descriptions)
}

fn default_tag(node: &Node<'_>, members: &[TaggedMember]) -> Result<String> {
    let tag = node.text()?;
    if members.iter().any(|member| member.wire == tag) {
        return Ok(tag.to_owned());
    }
    Err(node.error(format!("{tag:?} is no tag of this union"), "use one of the mapping"))
}
