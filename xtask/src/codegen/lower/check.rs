//! What can be wrong with the API as a whole: names of sub-clients, methods, arguments and setters.

use std::collections::{BTreeMap, BTreeSet};

use super::finish::{mentioned_by, mentioned_in, union_members};
use crate::codegen::document::{Document, Node};
use crate::codegen::error::Result;
use crate::codegen::ir::{Api, Field, Kind, Object, Operation, Presence, Type, TypeDef};
use crate::codegen::names;

/// What a call or an endpoint can do besides its setters.
pub(crate) const CALL_METHODS: &[&str] = &[
    "attempt_timeout",
    "body_field",
    "clone",
    "decode",
    "endpoint",
    "execute",
    "first_event_timeout",
    "header",
    "hints",
    "hints_ref",
    "idempotency_key",
    "idle_timeout",
    "into_future",
    "map",
    "max_body_bytes",
    "max_event_bytes",
    "max_retries",
    "new",
    "parts",
    "query",
    "reject_openrouter_fallback",
    "reject_placeholder",
    "send",
    "session_ref",
    "stream",
    "streaming",
    "timeout",
    "trace_mode",
    "whole",
];

/// The constant of the table of all operations.
const TABLE: &str = "ALL";

/// The field of an endpoint for its body.
const BODY: &str = "body";

/// Every type that is used exists, and none holds itself but in a list or a map, which have an end.
pub(super) fn types(document: &Document, api: &Api, handwritten: &BTreeSet<&str>) -> Result<()> {
    let by_name = api.by_name();
    let of_operations = api.operations.iter().flat_map(mentioned_by);
    let of_types = api.types.iter().flat_map(|def| [mentioned_in(def), union_members(def)].concat());
    let of_samples = api.samples.iter().filter_map(|sample| sample.ty.innermost_name());
    let exists = |name: &&str| by_name.contains_key(name) || handwritten.contains(name);
    if let Some(name) = of_operations.chain(of_types).chain(of_samples).find(|name| !exists(name)) {
        let hint = "make it an object, an enum or a union, or write out what it refers to";
        return Err(schema(document, name).error(format!("{name} refers to itself and is no type"), hint));
    }
    match api.types.iter().find(|def| holds_itself(&by_name, def)) {
        Some(def) => {
            let problem = format!("a value of {} would hold another one without end", def.name);
            Err(schema(document, &def.name).error(problem, "put a list or a map between them"))
        }
        None => Ok(()),
    }
}

fn schema<'d>(document: &'d Document, name: &str) -> Node<'d> {
    Node::new(document.root().raw(), format!("/components/schemas/{name}"))
}

/// The types of which a value of this one holds at most one for each member.
fn held(def: &TypeDef) -> Vec<&str> {
    fn named(ty: &Type) -> Option<&str> {
        if let Type::Named(name) = ty { Some(name) } else { None }
    }
    match &def.kind {
        Kind::Object(object) => object.fields.iter().filter_map(|field| named(&field.ty)).collect(),
        Kind::Shape(union) => union.members.iter().filter_map(|member| named(&member.ty)).collect(),
        Kind::Id { .. } | Kind::Enum { .. } | Kind::Tagged(_) => union_members(def),
    }
}

fn holds_itself(by_name: &BTreeMap<&str, &TypeDef>, def: &TypeDef) -> bool {
    let mut open = held(def);
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if name == def.name {
            return true;
        }
        if seen.insert(name) {
            open.extend(by_name.get(name).map(|def| held(def)).unwrap_or_default());
        }
    }
    false
}

/// Every sub-client is described, everything that is described is a sub-client, and none has the name of a type.
pub(super) fn resources(document: &Document, api: &Api) -> Result<()> {
    let place = Node::new(document.root().raw(), "/x-resources".to_owned());
    let mut used = BTreeSet::new();
    for operation in &api.operations {
        used.extend((1..=operation.resource.len()).map(|depth| operation.resource[..depth].join(".")));
    }
    for path in &used {
        let name = names::sub_client(path.rsplit('.').next().unwrap_or(path));
        if api.types.iter().any(|def| def.name == name) || names::is_reserved(&name) {
            let hint = "give the sub-client another name in SUB_CLIENTS of xtask/src/codegen/names.rs";
            return Err(place.error(format!("a sub-client and a type are both called {name}"), hint));
        }
    }
    if let Some(path) = used.iter().find(|path| !api.resources.contains_key(*path)) {
        return Err(
            place.error(format!("the sub-client {path} is not described"), format!("add `{path}: …`"))
        );
    }
    match api.resources.keys().find(|path| !used.contains(*path)) {
        Some(path) => {
            Err(place.error(format!("no operation belongs to {path}"), "remove it, or correct `x-resource`"))
        }
        None => Ok(()),
    }
}

/// No endpoint is called as something else that its file defines or imports.
pub(super) fn endpoints(document: &Document, api: &Api, handwritten: &BTreeSet<&str>) -> Result<()> {
    let parts = api.resources.keys().flat_map(|path| path.split('.'));
    let sub_clients: BTreeSet<_> = parts.map(names::sub_client).collect();
    let types: BTreeSet<_> = api.types.iter().map(|def| def.name.as_str()).collect();
    for operation in &api.operations {
        let name = names::camel(&operation.id);
        let twin = match name.as_str() {
            name if types.contains(name) || handwritten.contains(name) => "a type",
            name if sub_clients.contains(name) => "a sub-client",
            name if names::is_reserved(name) => "what stands beside the endpoints",
            _ if names::constant(&operation.id) == TABLE => "the table of all operations",
            _ => continue,
        };
        let problem = format!("the operation {} and {twin} have one name", operation.id);
        return Err(place(document, operation).error(problem, "rename the operation"));
    }
    Ok(())
}

/// Where an operation stands.
fn place<'d>(document: &'d Document, operation: &Operation) -> Node<'d> {
    let path = operation.path.replace('~', "~0").replace('/', "~1");
    Node::new(document.root().raw(), format!("/paths/{path}/{}", operation.method.to_lowercase()))
}

/// No setter of an object that clients make has the name of another one, or of its constructor.
pub(super) fn requests(document: &Document, api: &Api) -> Result<()> {
    for def in api.types.iter().filter(|def| def.in_requests) {
        let Kind::Object(object) = &def.kind else { continue };
        let constants = object.fields.iter().filter(|field| field.constant.is_some());
        let defaults: Vec<_> = constants.map(|field| format!("default_{}", field.name)).collect();
        let taken: Vec<_> = defaults.iter().map(String::as_str).chain(["new"]).collect();
        let setters = object.fields.iter().filter(|field| is_optional(field));
        if let Some(name) = twin(setters.map(|field| field.setter.as_str()), &taken) {
            let problem = format!("the setter {name} stands twice, or is a function of every such object");
            let hint = "choose another name with `x-rust-setter`";
            return Err(schema(document, &def.name).error(problem, hint));
        }
    }
    Ok(())
}

/// An operation that streams is asked to by its body.
fn stream(operation: &Operation, body: Option<&Object>, place: &Node<'_>) -> Result<()> {
    let asks = |field: &&Field| {
        field.wire == "stream" && field.ty == Type::Bool && field.presence == Presence::Optional
    };
    let can_ask = body.is_some_and(|body| body.fields.iter().any(|field| asks(&field)));
    if operation.streams == can_ask || operation.handwritten {
        return Ok(());
    }
    let hint = "a body has an optional boolean `stream` exactly if the answer can be a stream";
    Err(place.error("`x-streams` and the member `stream` of the body go together", hint))
}

/// Methods of a sub-client, arguments of a method and setters of a call do not clash.
pub(super) fn methods(document: &Document, api: &Api) -> Result<()> {
    let mut methods = BTreeSet::new();
    for operation in &api.operations {
        let place = place(document, operation);
        if !methods.insert((&operation.resource, &operation.client_method)) {
            let (resource, method) = (operation.resource.join("()."), &operation.client_method);
            return Err(place
                .error(format!("{resource}() has a second method {method}"), "choose another `x-method`"));
        }
        let child = [operation.resource.join(".").as_str(), &operation.client_method].join(".");
        if api.resources.contains_key(&child) {
            let problem = format!("{child} is a method and a sub-client");
            return Err(place.error(problem, "choose another `x-method`"));
        }
        let body = body(api, operation);
        stream(operation, body, &place)?;
        let taken = if body.is_some() { &[BODY][..] } else { &[] };
        let parameters = operation.path_parameters.iter().chain(&operation.query);
        if let Some(name) = twin(parameters.map(|parameter| parameter.name.as_str()), taken) {
            let problem = format!("two parts of the request are called {name}");
            return Err(place.error(problem, "rename the parameter"));
        }
        if let Some(name) = twin(arguments(operation, body), &[]) {
            let hint = "choose another name with `x-rust-name`";
            return Err(place.error(format!("two arguments are called {name}"), hint));
        }
        if let Some(name) = twin(setters(operation, body), CALL_METHODS) {
            let hint = "choose another name with `x-rust-setter`";
            return Err(
                place.error(format!("the setter {name} stands twice, or is an option of every call"), hint)
            );
        }
    }
    Ok(())
}

fn body<'a>(api: &'a Api, operation: &Operation) -> Option<&'a Object> {
    let wanted = &operation.body.as_ref()?.ty;
    match &api.types.iter().find(|def| def.name == *wanted)?.kind {
        Kind::Object(object) => Some(object),
        _ => None,
    }
}

fn arguments<'a>(operation: &'a Operation, body: Option<&'a Object>) -> impl Iterator<Item = &'a str> {
    let required = body.into_iter().flat_map(|object| &object.fields).filter(|field| {
        matches!(field.presence, Presence::Required | Presence::Nullable) && field.constant.is_none()
    });
    let path = operation.path_parameters.iter().map(|parameter| parameter.name.as_str());
    path.chain(required.map(|field| field.name.as_str()))
}

fn setters<'a>(operation: &'a Operation, body: Option<&'a Object>) -> impl Iterator<Item = &'a str> {
    let optional = body.into_iter().flat_map(|object| &object.fields);
    let optional =
        optional.filter(|field| is_optional(field) && !(operation.streams && field.wire == "stream"));
    let query = operation.query.iter().map(|parameter| parameter.name.as_str());
    query.chain(optional.map(|field| field.setter.as_str()))
}

/// Whether a member has a setter.
fn is_optional(field: &Field) -> bool {
    matches!(field.presence, Presence::Optional | Presence::Patch) && field.constant.is_none()
}

/// The first name that stands twice, or among the taken ones.
fn twin<'a>(names: impl Iterator<Item = &'a str>, taken: &[&'a str]) -> Option<&'a str> {
    let mut seen: BTreeSet<&str> = taken.iter().copied().collect();
    names.into_iter().find(|name| !seen.insert(name))
}
