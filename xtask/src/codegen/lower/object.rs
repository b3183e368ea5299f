//! Objects and their members, and the list envelope.

use super::Lowering;
use crate::codegen::document::{Fields, Node};
use crate::codegen::error::Result;
use crate::codegen::ir::{Constant, Field, Kind, Object, Presence, Type};
use crate::codegen::names;

/// The members of the list envelope, which is a hand-written type.
const LIST_MEMBERS: &[&str] = &["object", "data", "has_more", "first_id", "last_id"];

impl<'d> Lowering<'d> {
    pub(super) fn object(
        &mut self,
        fields: &Fields<'d>,
        properties: &Node<'d>,
        name: &str,
        description: &str,
    ) -> Result<()> {
        self.reserve(name, fields.node())?;
        let required = fields.get("required").map(|node| node.list()).transpose()?.unwrap_or_default();
        let properties = properties.entries()?;
        let mut wanted = Vec::new();
        for entry in &required {
            let wire = entry.text()?;
            if !properties.iter().any(|(property, _)| *property == wire) {
                return Err(
                    entry.error(format!("{wire:?} is required but not described"), "add it to `properties`")
                );
            }
            wanted.push(wire);
        }
        let mut members: Vec<Field> = Vec::new();
        for (wire, node) in properties {
            let field = self.field(wire, &node, name, wanted.contains(&wire))?;
            if members.iter().any(|other| other.name == field.name) {
                let hint = "choose another name with `x-rust-name`";
                return Err(node.error(format!("two members would be the field {:?}", field.name), hint));
            }
            members.push(field);
        }
        self.define(name, description, Kind::Object(Object { fields: members }));
        Ok(())
    }

    fn field(&mut self, wire: &str, node: &Node<'d>, parent: &str, required: bool) -> Result<Field> {
        let fields = node.fields()?;
        let missing = || node.error("a member without `description`", "add one: it becomes the rustdoc");
        let description = fields.text("description")?.ok_or_else(missing)?;
        let name = names::field(wire, fields.text("x-rust-name")?, node)?;
        let setter =
            fields.get("x-rust-setter").map(|node| names::chosen(node.text()?, &node)).transpose()?;
        let shape = self.shape(&fields, &names::inline(parent, wire), Some(description))?;
        let constant = match shape.constant {
            Some(Constant::Text(text)) if wire == "object" => {
                Some(Constant::ObjectType(self.object_type(&text, node)?))
            }
            other => other,
        };
        let ty = match constant {
            Some(Constant::ObjectType(_)) => Type::Named(super::OBJECT_TYPE.to_owned()),
            _ => shape.ty,
        };
        let null = null(&fields, required, shape.nullable)?;
        let presence = presence(null, required, shape.nullable);
        if shape.nullable && constant.is_some() {
            return Err(
                node.error("a constant that may be null", "drop `null`, or describe the value with `type`")
            );
        }
        if presence == Presence::Patch && ty == Type::UnixTime {
            let hint = "say with `x-null` that `null` means absent, or use date-time";
            return Err(node.error("Unix seconds that may be absent or null", hint));
        }
        let field = Field {
            wire: wire.to_owned(),
            setter: setter.unwrap_or_else(|| name.clone()),
            name,
            description: description.to_owned(),
            ty,
            presence,
            constant,
            sensitive: shape.sensitive,
            inferred: inferred(&fields)?,
            lenient: fields.flag("x-lenient")?,
            sent_as_null: null == Null::Sent,
            rules: shape.rules,
            may_be_missing: false,
        };
        fields.finish()?;
        Ok(field)
    }

    /// The list envelope: only the type of its items matters.
    pub(super) fn list(&mut self, fields: &Fields<'d>) -> Result<Type> {
        fields.get("type");
        fields.get("required");
        let properties = fields.require("properties")?;
        for (member, node) in properties.entries()? {
            if !LIST_MEMBERS.contains(&member) {
                let hint = format!(
                    "a list has {}; drop `x-list` to describe another object",
                    LIST_MEMBERS.join(", ")
                );
                return Err(node.error(format!("a list with a member {member:?}"), hint));
            }
            if member == "object" {
                let fields = node.fields()?;
                let text = fields.require("const")?;
                self.object_type(text.text()?, &node)?;
            }
        }
        let data = properties.fields()?.require("data")?.fields()?.require("items")?;
        let item = self.schema(&data, "Item")?.only_type(&data)?;
        Ok(Type::List(Box::new(item)))
    }
}

/// What `null` means in a member that may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    /// Something of its own.
    Meant,
    /// The same as leaving it out, which is what clients do.
    Absent,
    /// The same as leaving it out, and what clients send instead.
    Sent,
}

/// `x-null`.
fn null(fields: &Fields<'_>, required: bool, nullable: bool) -> Result<Null> {
    let Some(node) = fields.get("x-null") else { return Ok(Null::Meant) };
    let null = match node.text()? {
        "absent" => Null::Absent,
        "sent" => Null::Sent,
        _ => return Err(node.error("unknown meaning of null", "the known ones are `absent` and `sent`")),
    };
    if required || !nullable {
        let hint = "drop it, or make the member optional and nullable";
        return Err(fields.node().error("`x-null` on a member that is required or not nullable", hint));
    }
    Ok(null)
}

fn presence(null: Null, required: bool, nullable: bool) -> Presence {
    match (required, nullable) {
        (true, false) => Presence::Required,
        (true, true) => Presence::Nullable,
        (false, true) if null == Null::Meant => Presence::Patch,
        (false, _) => Presence::Optional,
    }
}

/// `x-evidence: inferred`.
pub(super) fn inferred(fields: &Fields<'_>) -> Result<bool> {
    match fields.get("x-evidence") {
        None => Ok(false),
        Some(node) if node.text()? == "inferred" => Ok(true),
        Some(node) => {
            Err(node
                .error("unknown evidence", "the only known value is `inferred`; documented needs no mark"))
        }
    }
}
