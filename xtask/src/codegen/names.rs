//! Names: from the words of the API to Rust.

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};

use super::document::Node;
use super::error::Result;

/// Words that cannot be a name in Rust.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// The variant for what is not known.
pub(crate) const UNRECOGNIZED: &str = "Unrecognized";

/// Modules that the generator makes besides those of types.
const MODULES: &[&str] = &["arbitrary", "operations", "tests"];

/// Types that generated code sees beside the generated ones: those of the two crates that are written by hand, and those
/// of the libraries.
const RESERVED: &[&str] = &[
    "Absent",
    "Arbitrary",
    "Arc",
    "BTreeMap",
    "BoxedStrategy",
    "BuildError",
    "Bytes",
    "Call",
    "ChatAccumulator",
    "Clone",
    "Content",
    "DateTime",
    "Debug",
    "DecodeError",
    "Default",
    "Deserialize",
    "Deserializer",
    "EmbeddingError",
    "EmbeddingVector",
    "Endpoint",
    "Eq",
    "Err",
    "Error",
    "Evidence",
    "Extra",
    "From",
    "Hash",
    "HintsError",
    "Idempotency",
    "Into",
    "IntoDeserializer",
    "IntoIterator",
    "InvalidId",
    "JsonObject",
    "Just",
    "List",
    "MapAccess",
    "MapAccessDeserializer",
    "Members",
    "Method",
    "None",
    "ObjectType",
    "Ok",
    "Operation",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Patch",
    "RawMember",
    "Redact",
    "Redacted",
    "RequestParts",
    "Result",
    "Scope",
    "SeqAccess",
    "SeqAccessDeserializer",
    "Serialize",
    "Serializer",
    "Shape",
    "Some",
    "Strategy",
    "StreamEndpoint",
    "String",
    "Tagged",
    "Utc",
    "V1ResponseAccumulator",
    "Value",
    "Vec",
    "Zumik",
];

/// Sub-clients whose name would be the one of a type.
const SUB_CLIENTS: &[(&str, &str)] =
    &[("agent_hints", "AgentHintsStore"), ("embeddings", "Embedder"), ("health", "HealthProbe")];

/// The variant of an enum for a text of the wire: `artifact.deleted` is `ArtifactDeleted`.
pub(crate) fn variant(wire: &str, node: &Node<'_>) -> Result<String> {
    let name = camel(wire);
    if name == UNRECOGNIZED {
        let hint = "teach `variant` in xtask/src/codegen/names.rs another name for it";
        return Err(
            node.error(format!("the variant of {wire:?} clashes with the one for unknown values"), hint)
        );
    }
    type_name(&name, node)?;
    Ok(name)
}

/// Whether a type of this name would hide another one from generated code.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Checks the name of a type.
pub(crate) fn type_name(name: &str, node: &Node<'_>) -> Result<()> {
    let is_camel_case = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && name != "Self";
    if is_camel_case {
        return Ok(());
    }
    Err(node
        .error(format!("{name:?} is no name of a type in Rust"), "use letters and digits, a capital first"))
}

/// The name of a field for a member of an object.
pub(crate) fn field(wire: &str, chosen: Option<&str>, node: &Node<'_>) -> Result<String> {
    let name = chosen.map_or_else(|| wire.to_snake_case(), str::to_owned);
    if is_snake_case(&name) && name != "extra" {
        return Ok(name);
    }
    Err(node
        .error(format!("{name:?} cannot be the name of a field"), "choose another one with `x-rust-name`"))
}

/// Checks a name that the document chooses: of a sub-client, a method or a setter.
pub(crate) fn chosen(name: &str, node: &Node<'_>) -> Result<String> {
    if is_snake_case(name) {
        return Ok(name.to_owned());
    }
    let hint = "use lower case, digits and `_`, a letter first, and no keyword";
    Err(node.error(format!("{name:?} is no name in Rust"), hint))
}

/// Checks the name of a module of types.
pub(crate) fn module(name: &str, node: &Node<'_>) -> Result<String> {
    if MODULES.contains(&name) {
        let problem = format!("{name:?} is a module that stands beside the types");
        return Err(node.error(problem, "choose another name"));
    }
    chosen(name, node)
}

/// The name of a sample, which is the one of its test: the place where it stands, and its own.
pub(crate) fn sample(place: &str, name: &str, node: &Node<'_>) -> Result<String> {
    chosen(&format!("{place}_{}", snake(name)), node)
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !KEYWORDS.contains(&name)
}

/// The name of a type for an inline schema: `{Parent}{Field}`.
pub(crate) fn inline(parent: &str, field: &str) -> String {
    format!("{parent}{}", field.to_upper_camel_case())
}

/// `createArtifact` is `CREATE_ARTIFACT`.
pub(crate) fn constant(operation: &str) -> String {
    operation.to_shouty_snake_case()
}

/// `createArtifact` is `create_artifact`.
pub(crate) fn snake(text: &str) -> String {
    text.to_snake_case()
}

/// The sub-client for a resource: `purge_jobs` is `PurgeJobs`.
pub(crate) fn sub_client(resource: &str) -> String {
    let exception = SUB_CLIENTS.iter().find(|(name, _)| *name == resource);
    exception.map_or_else(|| resource.to_upper_camel_case(), |(_, name)| (*name).to_owned())
}

/// `createArtifact` and `create_artifact` are `CreateArtifact`.
pub(crate) fn camel(text: &str) -> String {
    text.to_upper_camel_case()
}
