//! Operations: method, path, what may be done with them, parameters and bodies.

use super::object::inferred;
use super::{Lowering, response};
use crate::codegen::document::Node;
use crate::codegen::error::Result;
use crate::codegen::ir::{Answer, Body, Kind, Operation, Parameter, Sample, Type};
use crate::codegen::names;

const METHODS: &[(&str, &str)] = &[("get", "GET"), ("post", "POST"), ("put", "PUT"), ("delete", "DELETE")];
const SCOPES: &[&str] = &["none", "read", "inference", "admin"];
const IDEMPOTENCIES: &[&str] = &["safe", "key", "replace", "cas", "delete", "event"];
const KEY_HEADER: &str = "Agent-Idempotency-Key";
/// Headers that the client has as options of every call, so that no endpoint has a field for them.
const CALL_HEADERS: &[&str] =
    &[KEY_HEADER, "Agent-Hints", "Agent-Hints-Ref", "Agent-Trace-Mode", "Agent-Session-Ref"];

/// Where a parameter goes.
enum Place {
    Path,
    Query,
    Header,
}

impl<'d> Lowering<'d> {
    pub(super) fn operations(&mut self, paths: &Node<'d>) -> Result<Vec<Operation>> {
        let mut operations: Vec<Operation> = Vec::new();
        for (path, item) in paths.entries()? {
            let members = item.fields()?;
            let shared = members.get("parameters").map(|node| node.list()).transpose()?.unwrap_or_default();
            for (keyword, node) in item.entries()? {
                let Some((_, method)) = METHODS.iter().find(|(known, _)| *known == keyword) else { continue };
                let operation = self.operation(method, path, &node, &shared)?;
                if operations.iter().any(|other| names::camel(&other.id) == names::camel(&operation.id)) {
                    return Err(
                        node.error(format!("two operations are called {}", operation.id), "rename one")
                    );
                }
                operations.push(operation);
            }
            METHODS.iter().for_each(|(keyword, _)| drop(members.get(keyword)));
            members.finish()?;
        }
        Ok(operations)
    }

    fn operation(
        &mut self,
        method: &str,
        path: &str,
        node: &Node<'d>,
        shared: &[Node<'d>],
    ) -> Result<Operation> {
        let fields = node.fields()?;
        let id = fields.require("operationId")?;
        names::type_name(&names::camel(id.text()?), &id)?;
        let id = id.text()?;
        let resource = resource(&fields.require("x-resource")?)?;
        self.module = resource.join("_");
        let tags = fields.require("tags")?;
        let [group] = tags.texts()?[..] else {
            return Err(tags.error("not exactly one tag", "the tag is the group of the contract's table"));
        };
        let mut parameters = Parameters::default();
        let own = fields.get("parameters").map(|node| node.list()).transpose()?.unwrap_or_default();
        for parameter in shared.iter().chain(&own) {
            self.parameter(parameter, &mut parameters)?;
        }
        let path_parameters = in_path_order(path, parameters.path, node)?;
        let handwritten = fields.flag("x-handwritten")?;
        let mut samples = Vec::new();
        let method_name = fields.require("x-method")?;
        let client_method = names::chosen(method_name.text()?, &method_name)?;
        let body = match fields.get("requestBody") {
            None => None,
            Some(body) => self.body(&body, id, handwritten, &mut samples)?,
        };
        let answers = self.answers(&fields.require("responses")?, id)?;
        samples.extend(answers.samples);
        let streams = fields.flag("x-streams")?;
        response::check_stream(answers.event.is_some(), streams, node)?;
        let operation = Operation {
            id: id.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            group: group.to_owned(),
            summary: fields.require("summary")?.text()?.to_owned(),
            description: fields.text("description")?.map(str::to_owned),
            scope: one_of(&fields.require("x-scope")?, SCOPES)?,
            idempotency: one_of(&fields.require("x-idempotency")?, IDEMPOTENCIES)?,
            accepts_key: parameters.headers.iter().any(|header| header == KEY_HEADER),
            streams,
            paginated: fields.flag("x-paginated")?,
            generation: fields.flag("x-generation")?,
            inferred: inferred(&fields)?,
            contract: fields.require("x-contract")?.text()?.to_owned(),
            resource,
            client_method,
            handwritten,
            path_parameters,
            query: parameters.query,
            body,
            answer: answers.answer,
            event: answers.event,
            errors: answers.errors,
            samples,
        };
        fields.get("security");
        fields.finish()?;
        check_page(&operation, node)?;
        Ok(operation)
    }

    fn parameter(&mut self, node: &Node<'d>, found: &mut Parameters) -> Result<()> {
        let fields = node.fields()?;
        if let Some(reference) = fields.get("$ref") {
            let (_, target) = self.document.target("parameters", &reference)?;
            fields.finish()?;
            return self.parameter(&target, found);
        }
        let wire = fields.require("name")?;
        let place = match fields.require("in")?.text()? {
            "path" => Place::Path,
            "query" => Place::Query,
            "header" => Place::Header,
            other => return Err(node.error(format!("a parameter in {other}"), "use path, query or header")),
        };
        let required = fields.flag("required")?;
        let description = fields.require("description")?.text()?.to_owned();
        let inferred = inferred(&fields)?;
        let name = wire.text()?;
        let schema = fields.require("schema")?;
        let shape = self.schema(&schema, &names::camel(name))?;
        fields.get("example");
        fields.finish()?;
        let rules = shape.rules.clone();
        let ty = shape.only_type(&schema)?;
        let is_name = self.is_name(&ty);
        let parameter = |is_one: bool, wanted: &str| -> Result<Parameter> {
            if !is_one {
                return Err(schema.error(format!("a parameter that is no {wanted}"), format!("use {wanted}")));
            }
            Ok(Parameter {
                wire: name.to_owned(),
                name: names::field(name, None, node)?,
                description,
                ty: ty.clone(),
                inferred,
                rules,
            })
        };
        let is_plain =
            matches!(ty, Type::String | Type::Bool | Type::U64 | Type::I64 | Type::F64 | Type::DateTime);
        match place {
            Place::Path if required => {
                found.path.push(parameter(is_name || ty == Type::String, "text, id or enum")?);
            }
            Place::Query if !required => {
                found.query.push(parameter(is_name || is_plain, "text, boolean, number, time, id or enum")?);
            }
            Place::Path => return Err(node.error("an optional path parameter", "add `required: true`")),
            Place::Query => {
                return Err(
                    node.error("a required query parameter", "no operation has one yet; extend the IR")
                );
            }
            Place::Header if CALL_HEADERS.contains(&name) => found.headers.push(name.to_owned()),
            Place::Header => {
                let hint = format!(
                    "known are {}; the client has them as options of every call",
                    CALL_HEADERS.join(", ")
                );
                return Err(wire.error(format!("an unknown request header {name}"), hint));
            }
        }
        Ok(())
    }

    /// Whether a value of this type is an id or an enum: a text with a type of its own.
    fn is_name(&self, ty: &Type) -> bool {
        let Type::Named(name) = ty else { return false };
        let kind = self.types.get(name).and_then(|def| def.as_ref()).map(|def| &def.kind);
        matches!(kind, Some(Kind::Id { .. } | Kind::Enum { .. }))
    }

    fn body(
        &mut self,
        node: &Node<'d>,
        id: &str,
        handwritten: bool,
        samples: &mut Vec<Sample>,
    ) -> Result<Option<Body>> {
        let fields = node.fields()?;
        if let Some(reference) = fields.get("$ref") {
            let hint = "write `content` out where it is used";
            return Err(reference.error("a request body that is referred to", hint));
        }
        fields.text("description")?;
        fields.flag("required")?;
        let content = fields.require("content")?.fields()?;
        fields.finish()?;
        if let Some(multipart) = content.get("multipart/form-data") {
            if !handwritten {
                let hint =
                    "write its endpoint by hand in the client and mark the operation `x-handwritten: true`";
                return Err(multipart.error("a multipart body has no generated endpoint", hint));
            }
            self.handwritten_form(&multipart)?;
            content.finish()?;
            return Ok(None);
        }
        let json = content.require("application/json")?;
        content.finish()?;
        let (ty, found) = self.json_content(&json, &format!("{}_request", names::snake(id)))?;
        samples.extend(found);
        let Type::Named(ty) = ty else {
            return Err(json.error("a body that is no named object", "make it a component and refer to it"));
        };
        Ok(Some(Body { ty }))
    }
}

impl<'d> Lowering<'d> {
    /// The form of a multipart body is described for others; in Rust it is written by hand.
    fn handwritten_form(&mut self, multipart: &Node<'d>) -> Result<()> {
        let media_type = multipart.fields()?;
        let schema = media_type.require("schema")?.fields()?;
        let (name, _) = self.document.resolve("schemas", &schema.require("$ref")?)?;
        self.references.insert(name, Type::Named(name.to_owned()));
        media_type.get("encoding");
        schema.finish()?;
        media_type.finish()
    }
}

#[derive(Default)]
struct Parameters {
    path: Vec<Parameter>,
    query: Vec<Parameter>,
    headers: Vec<String>,
}

fn one_of(node: &Node<'_>, known: &[&str]) -> Result<String> {
    let text = node.text()?;
    if known.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(node.error(format!("unknown value {text:?}"), format!("one of {}", known.join(", "))))
}

fn resource(node: &Node<'_>) -> Result<Vec<String>> {
    let names =
        node.texts()?.into_iter().map(|name| names::chosen(name, node)).collect::<Result<Vec<_>>>()?;
    if names.is_empty() {
        return Err(node.error("no sub-client", "name at least one, for example [artifacts]"));
    }
    names::module(&names.join("_"), node)?;
    Ok(names)
}

/// The path parameters in the order in which the path has them.
fn in_path_order(path: &str, mut found: Vec<Parameter>, node: &Node<'_>) -> Result<Vec<Parameter>> {
    let mut ordered = Vec::new();
    for segment in path.split('/') {
        if !segment.contains(['{', '}']) {
            continue;
        }
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name.filter(|name| !name.contains(['{', '}'])) else {
            let problem = format!("the segment {segment:?} is more than a parameter");
            return Err(node.error(problem, "make it `{name}`, or a fixed text"));
        };
        let Some(index) = found.iter().position(|parameter| parameter.wire == name) else {
            return Err(
                node.error(format!("nothing describes {{{name}}} of the path"), "add it to `parameters`")
            );
        };
        ordered.push(found.remove(index));
    }
    match found.first() {
        Some(extra) => {
            Err(node.error(format!("{} is not in the path", extra.wire), "remove it, or put it there"))
        }
        None => Ok(ordered),
    }
}

/// A paginated operation has a cursor and a limit, and answers a list.
fn check_page(operation: &Operation, node: &Node<'_>) -> Result<()> {
    if !operation.paginated {
        return Ok(());
    }
    let has = |wire: &str| operation.query.iter().any(|parameter| parameter.wire == wire);
    if has("after") && has("limit") && matches!(operation.answer, Answer::Json(Type::List(_))) {
        return Ok(());
    }
    Err(node
        .error("`x-paginated` without pages", "add the query parameters after and limit, and answer a list"))
}
