//! Leniency: which required members an answer may lack, and which types therefore have an empty value.

use std::collections::{BTreeMap, BTreeSet};

use crate::codegen::ir::{Api, Field, Kind, Presence, Type, TypeDef};

/// Marks the members that answers may lack although they are required, and the types that stand in such members.
pub(super) fn mark_absent(api: &mut Api) {
    let by_name = api.by_name();
    let mut missing: BTreeSet<(String, String)> = BTreeSet::new();
    for def in &api.types {
        if let Kind::Object(object) = &def.kind {
            let lenient = object.fields.iter().filter(|field| is_lenient(&by_name, def, field));
            missing.extend(lenient.map(|field| (def.name.clone(), field.name.clone())));
        }
    }
    let absent = needs_absent(&by_name, &missing);
    for def in &mut api.types {
        def.has_absent = absent.contains(&def.name);
        if let Kind::Object(object) = &mut def.kind {
            for field in &mut object.fields {
                field.may_be_missing = missing.contains(&(def.name.clone(), field.name.clone()));
            }
        }
    }
}

/// Whether an answer may lack this member although it is required. Requests are read strictly.
fn is_lenient(by_name: &BTreeMap<&str, &TypeDef>, def: &TypeDef, field: &Field) -> bool {
    !def.in_requests
        && (field.inferred || field.lenient)
        && field.presence == Presence::Required
        && (can_be_absent(by_name, &field.ty) || field.lenient && matches!(field.ty, Type::List(_)))
}

fn can_be_absent(by_name: &BTreeMap<&str, &TypeDef>, ty: &Type) -> bool {
    let Type::Named(name) = ty else { return !matches!(ty, Type::List(_)) };
    match by_name.get(name.as_str()).map(|def| &def.kind) {
        Some(Kind::Object(object)) => object
            .fields
            .iter()
            .all(|field| field.presence != Presence::Required || can_be_absent(by_name, &field.ty)),
        Some(Kind::Tagged(_)) | None => false,
        Some(Kind::Id { .. } | Kind::Enum { .. } | Kind::Shape(_)) => true,
    }
}

/// The objects and shape unions that stand in one of these members, given by type and name, or in a required member of
/// such an object.
fn needs_absent(
    by_name: &BTreeMap<&str, &TypeDef>,
    missing: &BTreeSet<(String, String)>,
) -> BTreeSet<String> {
    let fields = |name: &str| match by_name.get(name).map(|def| &def.kind) {
        Some(Kind::Object(object)) => object.fields.as_slice(),
        _ => &[],
    };
    let compound = |field: &Field| match &field.ty {
        Type::Named(name) => {
            let kind = by_name.get(name.as_str()).map(|def| &def.kind);
            matches!(kind, Some(Kind::Object(_) | Kind::Shape(_))).then(|| name.clone())
        }
        _ => None,
    };
    let of_missing = missing.iter().flat_map(|(ty, name)| fields(ty).iter().filter(move |f| f.name == *name));
    let mut open: Vec<String> = of_missing.filter_map(compound).collect();
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            let required = fields(&name).iter().filter(|field| field.presence == Presence::Required);
            open.extend(required.filter_map(compound));
        }
    }
    found
}
