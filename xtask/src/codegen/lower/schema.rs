//! Schemas: which Rust type a value has.

use super::rules::rules;
use super::{Lowering, union};
use crate::codegen::document::{Fields, Node};
use crate::codegen::error::Result;
use crate::codegen::ir::{Constant, Kind, Sample, Type, Variant};
use crate::codegen::names;

/// What a schema says about a value.
pub(super) struct Shape {
    pub(super) ty: Type,
    pub(super) nullable: bool,
    pub(super) constant: Option<Constant>,
    pub(super) sensitive: bool,
    pub(super) rules: Vec<String>,
}

impl Shape {
    fn plain(ty: Type) -> Self {
        Self { ty, nullable: false, constant: None, sensitive: false, rules: Vec::new() }
    }

    /// The type, where nothing else that a schema says about a value has a place.
    pub(super) fn only_type(self, node: &Node<'_>) -> Result<Type> {
        if self.nullable || self.constant.is_some() {
            let hint = "drop `null` or `const`: only members of objects can be so";
            return Err(node.error("a value outside of an object that is nullable or constant", hint));
        }
        if self.sensitive {
            let hint = "mark the member of an object that it is part of";
            return Err(node.error("`x-sensitive` on a value that nothing keeps the mark of", hint));
        }
        if self.ty == Type::UnixTime {
            let hint = "use date-time, or put them into a member of an object";
            return Err(node.error("Unix seconds outside of an object", hint));
        }
        Ok(self.ty)
    }
}

impl<'d> Lowering<'d> {
    /// A schema that has no description of its own: items of an array, the schema of a parameter.
    pub(super) fn schema(&mut self, node: &Node<'d>, name: &str) -> Result<Shape> {
        let fields = node.fields()?;
        let description = fields.text("description")?;
        let shape = self.shape(&fields, name, description)?;
        fields.finish()?;
        Ok(shape)
    }

    /// A component schema: the type that a reference to it has.
    pub(super) fn component(&mut self, name: &'d str, node: &Node<'d>) -> Result<Type> {
        if let Some(ty) = self.references.get(name) {
            return Ok(ty.clone());
        }
        names::type_name(name, node)?;
        self.references.insert(name, Type::Named(name.to_owned()));
        let fields = node.fields()?;
        let description = fields.require("description")?.text()?;
        if fields.flag("x-handwritten")? {
            // What else the schema says is for readers of the document.
            self.handwritten.insert(name);
            return Ok(Type::Named(name.to_owned()));
        }
        let module = fields.get("x-module").map(|node| names::module(node.text()?, &node)).transpose()?;
        let module = module.map(|module| std::mem::replace(&mut self.module, module));
        let ty = if fields.flag("x-list")? {
            self.list(&fields)?
        } else {
            let shape = self.shape(&fields, name, Some(description))?;
            if shape.nullable || shape.constant.is_some() || shape.sensitive {
                let hint = "say so where the schema is used";
                let problem = "a component schema can be neither nullable nor constant nor sensitive";
                return Err(node.error(problem, hint));
            }
            shape.ty
        };
        if let Some(module) = module {
            self.module = module;
        }
        self.notes(&fields, name, &ty)?;
        fields.finish()?;
        self.references.insert(name, ty.clone());
        Ok(ty)
    }

    /// What a component says besides its type: that clients make it, and samples of it.
    fn notes(&mut self, fields: &Fields<'d>, name: &str, ty: &Type) -> Result<()> {
        if fields.flag("x-request")? {
            let Some(Some(def)) = self.types.get_mut(name) else {
                let hint = "drop it: only types of their own can be made";
                return Err(fields.node().error("`x-request` on a schema without a type", hint));
            };
            def.is_request = true;
        }
        let Some(examples) = fields.get("examples") else { return Ok(()) };
        for (index, example) in examples.list()?.into_iter().enumerate() {
            let name = format!("{}_{index}", names::snake(name));
            self.samples.push(Sample { name, ty: ty.clone(), json: example.raw().clone() });
        }
        Ok(())
    }

    fn reference(&mut self, reference: &Node<'d>) -> Result<Type> {
        let (name, node) = self.document.resolve("schemas", reference)?;
        self.component(name, &node)
    }

    /// The type of a schema. `name` is the name of the type if the schema needs one.
    pub(super) fn shape(
        &mut self,
        fields: &Fields<'d>,
        name: &str,
        description: Option<&str>,
    ) -> Result<Shape> {
        let mut shape = self.bare_shape(fields, name, description)?;
        shape.rules.extend(rules(fields, &shape.ty)?);
        shape.sensitive |= fields.flag("x-sensitive")?;
        Ok(shape)
    }

    fn bare_shape(&mut self, fields: &Fields<'d>, name: &str, description: Option<&str>) -> Result<Shape> {
        if let Some(reference) = fields.get("$ref") {
            return self.reference(&reference).map(Shape::plain);
        }
        if let Some(branches) = fields.get("oneOf") {
            return self.one_of(fields, &branches, name, description);
        }
        for keyword in ["allOf", "anyOf", "not", "if"] {
            if fields.has(keyword) {
                let hint = "write the members out, or use `oneOf` with `discriminator` or `x-union: shape`";
                return Err(fields.node().error(format!("`{keyword}` has no form in Rust"), hint));
            }
        }
        if let Some(value) = fields.get("const") {
            return self.constant(fields, &value);
        }
        let Some(types) = fields.get("type") else {
            return Ok(Shape::plain(Type::Json));
        };
        let (json_type, nullable) = json_type(&types)?;
        let ty = match json_type {
            "string" => self.string(fields, name, description)?,
            "boolean" => Type::Bool,
            "integer" => integer(fields)?,
            "number" => number(fields)?,
            "array" => {
                let (item, sensitive) = self.item(&fields.require("items")?, &names::inline(name, "item"))?;
                return Ok(Shape { nullable, sensitive, ..Shape::plain(Type::Array(Box::new(item))) });
            }
            "object" => {
                return Ok(Shape { nullable, ..self.object_shape(fields, name, description)? });
            }
            other => {
                let hint =
                    "use string, boolean, integer, number, array or object, or one of them with 'null'";
                return Err(types.error(format!("the type {other:?} has no form in Rust"), hint));
            }
        };
        Ok(Shape { nullable, ..Shape::plain(ty) })
    }

    fn string(&mut self, fields: &Fields<'d>, name: &str, description: Option<&str>) -> Result<Type> {
        if let Some(prefixes) = fields.get("x-id-prefix") {
            let description = named(fields, "an id", description)?;
            let prefixes = prefixes.texts()?.into_iter().map(str::to_owned).collect();
            self.reserve(name, fields.node())?;
            self.define(name, description, Kind::Id { prefixes });
            return Ok(Type::Named(name.to_owned()));
        }
        if let Some(values) = fields.get("enum") {
            let description = named(fields, "an enum", description)?;
            let variants = variants(fields, &values)?;
            self.reserve(name, fields.node())?;
            self.define(name, description, Kind::Enum { variants });
            return Ok(Type::Named(name.to_owned()));
        }
        match fields.get("format") {
            None => Ok(Type::String),
            Some(format) => match format.text()? {
                "date-time" => Ok(Type::DateTime),
                other => Err(format.error(
                    format!("a string of format {other}"),
                    "only date-time has a type of its own; leave the format out for plain text",
                )),
            },
        }
    }

    /// A value that is always the same. The `object` of an object is a variant of one enum for all of them.
    fn constant(&mut self, fields: &Fields<'d>, value: &Node<'d>) -> Result<Shape> {
        let wanted = fields.text("type")?;
        if let Ok(text) = value.text() {
            if wanted.is_some_and(|wanted| wanted != "string") {
                return Err(value.error("a text as the constant of another type", "correct `type`"));
            }
            return Ok(Shape {
                constant: Some(Constant::Text(text.to_owned())),
                ..Shape::plain(Type::String)
            });
        }
        if let Ok(flag) = value.boolean() {
            if wanted.is_some_and(|wanted| wanted != "boolean") {
                return Err(value.error("a boolean as the constant of another type", "correct `type`"));
            }
            return Ok(Shape { constant: Some(Constant::Bool(flag)), ..Shape::plain(Type::Bool) });
        }
        Err(value
            .error("a constant that is neither text nor boolean", "describe the value with `type` instead"))
    }

    fn one_of(
        &mut self,
        fields: &Fields<'d>,
        branches: &Node<'d>,
        name: &str,
        description: Option<&str>,
    ) -> Result<Shape> {
        let mut others = Vec::new();
        let mut nullable = false;
        for branch in branches.list()? {
            if is_null(&branch)? {
                nullable = true;
            } else {
                others.push(branch);
            }
        }
        if fields.has("discriminator") {
            let description = named(fields, "a union", description)?;
            self.tagged_union(fields, &others, name, description)?;
            return Ok(Shape { nullable, ..Shape::plain(Type::Named(name.to_owned())) });
        }
        if let Some(form) = fields.get("x-union") {
            union::check_form(&form)?;
            let description = named(fields, "a union", description)?;
            self.shape_union(&others, name, description)?;
            return Ok(Shape { nullable, ..Shape::plain(Type::Named(name.to_owned())) });
        }
        match others.as_slice() {
            [only] if nullable => {
                let inner = self.schema(only, name)?;
                Ok(Shape { nullable: true, ..inner })
            }
            _ => {
                let hint = "objects: add `discriminator`; different JSON kinds: add `x-union: shape`; \
                            nullable: one branch and {type: 'null'}";
                Err(branches.error("a union that does not say how its members are told apart", hint))
            }
        }
    }

    /// An item of an array, or a value of an object with free names: its type, and whether it is sensitive, by which
    /// all of them are.
    fn item(&mut self, node: &Node<'d>, name: &str) -> Result<(Type, bool)> {
        let item = self.schema(node, name)?;
        let sensitive = item.sensitive;
        Ok((Shape { sensitive: false, ..item }.only_type(node)?, sensitive))
    }

    fn object_shape(&mut self, fields: &Fields<'d>, name: &str, description: Option<&str>) -> Result<Shape> {
        let additional = fields.get("additionalProperties");
        if let Some(properties) = fields.get("properties") {
            if let Some(additional) = additional {
                let hint = "leave it out: every object keeps the members that it does not know";
                return Err(additional.error("`additionalProperties` beside `properties`", hint));
            }
            let description = named(fields, "an object", description)?;
            self.object(fields, &properties, name, description)?;
            return Ok(Shape::plain(Type::Named(name.to_owned())));
        }
        let Some(additional) = additional else {
            let hint = "add `properties`, or `additionalProperties: true` for any JSON object";
            return Err(fields.node().error("an object without members", hint));
        };
        if additional.boolean() == Ok(true) {
            return Ok(Shape::plain(Type::JsonObject));
        }
        let (value, sensitive) = self.item(&additional, &names::inline(name, "value"))?;
        Ok(Shape { sensitive, ..Shape::plain(Type::Map(Box::new(value))) })
    }
}

/// A type that gets a name needs a description too.
fn named<'t>(fields: &Fields<'_>, what: &str, description: Option<&'t str>) -> Result<&'t str> {
    let missing =
        || fields.node().error(format!("{what} without `description`"), "add one: it becomes the rustdoc");
    description.ok_or_else(missing)
}

/// The JSON type, and whether `null` stands beside it.
fn json_type<'d>(types: &Node<'d>) -> Result<(&'d str, bool)> {
    if let Ok(single) = types.text() {
        return Ok((single, false));
    }
    match types.texts()?.as_slice() {
        [single, "null"] | ["null", single] => Ok((single, true)),
        _ => Err(types.error("several types", "one type, or one type and 'null'; else use `oneOf`")),
    }
}

fn is_null(branch: &Node<'_>) -> Result<bool> {
    let fields = branch.fields()?;
    Ok(match fields.get("type") {
        Some(node) => node.text() == Ok("null"),
        None => false,
    })
}

fn integer(fields: &Fields<'_>) -> Result<Type> {
    if let Some(format) = fields.get("format") {
        return match format.text()? {
            "uint64" => Ok(Type::U64),
            "int64" => Ok(Type::I64),
            "unix-time" => Ok(Type::UnixTime),
            other => {
                let hint = "use uint64 (counts, sizes), int64 (money) or unix-time";
                Err(format.error(format!("an integer of format {other}"), hint))
            }
        };
    }
    let minimum = fields.get("minimum").map(|node| node.raw().to_json());
    match minimum.and_then(|minimum| minimum.parse::<u64>().ok()) {
        Some(_) => Ok(Type::U64),
        None => {
            let hint = "add `minimum` (0 or more), or `format`: uint64, int64 or unix-time";
            Err(fields.node().error("an integer that may be of any size", hint))
        }
    }
}

fn number(fields: &Fields<'_>) -> Result<Type> {
    match fields.get("format") {
        Some(format) if format.text()? != "double" => {
            Err(format.error("a number of another format", "`double`, or none; money is an integer"))
        }
        _ => Ok(Type::F64),
    }
}

fn variants(fields: &Fields<'_>, values: &Node<'_>) -> Result<Vec<Variant>> {
    let descriptions =
        fields.get("x-enum-descriptions").map(|node| node.entries()).transpose()?.unwrap_or_default();
    let mut variants: Vec<Variant> = Vec::new();
    for value in values.list()? {
        let wire = value.text()?;
        let name = names::variant(wire, &value)?;
        if variants.iter().any(|variant| variant.name == name) {
            let hint = "teach `variant` in xtask/src/codegen/names.rs another name for one of them";
            return Err(value.error(format!("two values give the variant {name}"), hint));
        }
        let description = descriptions.iter().find(|(described, _)| *described == wire);
        let description = description.map(|(_, text)| text.text().map(str::to_owned)).transpose()?;
        variants.push(Variant { wire: wire.to_owned(), name, description });
    }
    match descriptions.iter().find(|(wire, _)| !variants.iter().any(|variant| variant.wire == *wire)) {
        Some((wire, node)) => {
            Err(node.error(format!("{wire:?} is no value of this enum"), "correct the name"))
        }
        None => Ok(variants),
    }
}
