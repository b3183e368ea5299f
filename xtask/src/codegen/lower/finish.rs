//! What can be said only when everything has been seen: which types requests use, and which objects need no field for
//! the tag of their union.

use std::collections::{BTreeMap, BTreeSet};

use super::absent::mark_absent;
use super::check;
use crate::codegen::document::{Document, Node};
use crate::codegen::error::Result;
use crate::codegen::ir::{Api, Constant, Kind, Operation, Presence, Type, TypeDef};

pub(super) fn finish(document: &Document, mut api: Api, handwritten: &BTreeSet<&str>) -> Result<Api> {
    check::types(document, &api, handwritten)?;
    resolve_tags(document, &mut api)?;
    check::resources(document, &api)?;
    check::endpoints(document, &api, handwritten)?;
    check::methods(document, &api)?;
    mark_requests(&mut api);
    check::requests(document, &api)?;
    mark_absent(&mut api);
    mark_redacted(document, &mut api)?;
    Ok(api)
}

/// Named types that an operation mentions directly.
pub(super) fn mentioned_by(operation: &Operation) -> Vec<&str> {
    let parameters = operation.path_parameters.iter().chain(&operation.query);
    let answers = operation.answer.json().into_iter().chain(&operation.event);
    let types = parameters.map(|parameter| &parameter.ty).chain(answers);
    types.filter_map(Type::innermost_name).chain(operation.body.iter().map(|body| body.ty.as_str())).collect()
}

/// Named types that a definition mentions, members of tagged unions left out.
pub(super) fn mentioned_in(def: &TypeDef) -> Vec<&str> {
    match &def.kind {
        Kind::Object(object) => object.fields.iter().filter_map(|field| field.ty.innermost_name()).collect(),
        Kind::Shape(union) => union.members.iter().filter_map(|member| member.ty.innermost_name()).collect(),
        Kind::Id { .. } | Kind::Enum { .. } | Kind::Tagged(_) => Vec::new(),
    }
}

/// The types of the members of a tagged union.
pub(super) fn union_members(def: &TypeDef) -> Vec<&str> {
    match &def.kind {
        Kind::Tagged(union) => union.members.iter().map(|member| member.ty.as_str()).collect(),
        _ => Vec::new(),
    }
}

/// Removes the tag from the members of a tagged union that occur nowhere else: the variant says it already.
fn resolve_tags(document: &Document, api: &mut Api) -> Result<()> {
    let mut elsewhere: BTreeSet<String> = BTreeSet::new();
    elsewhere.extend(api.operations.iter().flat_map(mentioned_by).map(str::to_owned));
    elsewhere.extend(api.types.iter().flat_map(mentioned_in).map(str::to_owned));
    let mut unions: Vec<(String, String, String)> = Vec::new();
    for def in &api.types {
        if let Kind::Tagged(union) = &def.kind {
            unions.extend(union.members.iter().map(|m| (m.ty.clone(), union.tag.clone(), m.wire.clone())));
        }
    }
    let mut dropped: BTreeSet<String> = BTreeSet::new();
    for (ty, tag, wire) in &unions {
        let place = Node::new(document.root().raw(), format!("/components/schemas/{ty}"));
        let Some(Kind::Object(object)) =
            api.types.iter_mut().find(|def| def.name == *ty).map(|def| &mut def.kind)
        else {
            return Err(
                place.error("a member of a tagged union that is no object", "only objects can carry a tag")
            );
        };
        let Some(index) = object.fields.iter().position(|field| field.wire == *tag) else {
            if dropped.contains(ty) {
                continue;
            }
            let hint = format!("add a member `{tag}` with `const: {wire}`");
            return Err(place.error(format!("no member `{tag}`, which tells the union what it is"), hint));
        };
        let twins = || unions.iter().filter(|(other, ..)| other == ty);
        let tags: BTreeSet<_> = twins().map(|(_, tag, _)| tag).collect();
        let wires: BTreeSet<_> = twins().map(|(.., wire)| wire).collect();
        let field = &object.fields[index];
        let can_drop = field.presence == Presence::Required && tags.len() == 1 && !elsewhere.contains(ty);
        if wires.len() > 1 {
            if !can_drop || field.ty != Type::String || field.constant.is_some() {
                let hint = "require it, as a text without `const`, and use the type in unions alone";
                let problem = format!("`{tag}` of a type with several tags must be left to the union");
                return Err(place.error(problem, hint));
            }
        } else if field.constant != Some(Constant::Text(wire.clone())) {
            let hint = format!("write `const: {wire}`");
            return Err(place.error(format!("`{tag}` is not the constant {wire:?} of the mapping"), hint));
        }
        if can_drop {
            object.fields.remove(index);
            dropped.insert(ty.clone());
        }
    }
    for def in &mut api.types {
        if let Kind::Tagged(union) = &mut def.kind {
            union.members.iter_mut().for_each(|member| member.carries_tag = !dropped.contains(&member.ty));
        }
    }
    Ok(())
}

/// Marks what can be part of a request, directly or inside another type.
fn mark_requests(api: &mut Api) {
    let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for def in &api.types {
        members.insert(&def.name, [mentioned_in(def), union_members(def)].concat());
    }
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let bodies = api.operations.iter().filter_map(|operation| operation.body.as_ref());
    let lines = api.types.iter().filter(|def| def.is_request).map(|def| def.name.as_str());
    let mut open: Vec<&str> = bodies.map(|body| body.ty.as_str()).chain(lines).collect();
    while let Some(name) = open.pop() {
        if reached.insert(name.to_owned()) {
            open.extend(members.get(name).into_iter().flatten());
        }
    }
    for def in &mut api.types {
        def.in_requests = reached.contains(&def.name);
    }
}

/// Marks unions that stand in sensitive members. Other named types cannot stand there: nobody could say how much of
/// them there is.
fn mark_redacted(document: &Document, api: &mut Api) -> Result<()> {
    let mut redacted: BTreeSet<String> = BTreeSet::new();
    for def in &api.types {
        let sensitive: Vec<(&str, &Type)> = match &def.kind {
            Kind::Object(object) => {
                let sensitive = object.fields.iter().filter(|field| field.sensitive);
                sensitive.map(|field| (field.wire.as_str(), &field.ty)).collect()
            }
            Kind::Shape(union) => {
                let sensitive = union.members.iter().filter(|member| member.sensitive);
                sensitive.map(|member| (member.name.as_str(), &member.ty)).collect()
            }
            Kind::Id { .. } | Kind::Enum { .. } | Kind::Tagged(_) => continue,
        };
        for (name, ty) in sensitive {
            let place = Node::new(document.root().raw(), format!("/components/schemas/{}", def.name));
            let error = || {
                let hint = "mark the members inside it instead";
                Err(place
                    .error(format!("`x-sensitive` on {name}, which is no text, list or free JSON"), hint))
            };
            match ty {
                Type::String | Type::Json | Type::JsonObject | Type::Array(_) | Type::Map(_) => {}
                Type::Named(union) if is_shape(api, union) => {
                    redacted.insert(union.clone());
                }
                _ => return error(),
            }
        }
    }
    for def in &mut api.types {
        def.is_redacted = redacted.contains(&def.name);
    }
    Ok(())
}

fn is_shape(api: &Api, name: &str) -> bool {
    api.types.iter().any(|def| def.name == name && matches!(def.kind, Kind::Shape(_)))
}
