//! What the generator knows about the API: a small model without OpenAPI in it.
//!
//! Everything in it has been checked: names are Rust names and unique, every type that is used exists, every item has a
//! description. The emitters cannot fail.

use std::collections::BTreeMap;

use super::document::Raw;

/// The whole API.
#[derive(Debug)]
pub(crate) struct Api {
    /// Named types, in the order in which operations reach them.
    pub(crate) types: Vec<TypeDef>,
    /// Operations in the order of the document.
    pub(crate) operations: Vec<Operation>,
    /// What the sub-clients are for, by path: `v1.files`.
    pub(crate) resources: BTreeMap<String, String>,
    /// Samples of types that no operation shows: lines of files, shapes inside a request.
    pub(crate) samples: Vec<Sample>,
}

/// A named type.
#[derive(Debug)]
pub(crate) struct TypeDef {
    pub(crate) name: String,
    pub(crate) description: String,
    /// The generated file that it stands in.
    pub(crate) module: String,
    /// It can be part of a request: it gets a constructor and setters, and it is read strictly.
    pub(crate) in_requests: bool,
    /// Clients make it although no operation takes it: a line of a file.
    pub(crate) is_request: bool,
    /// It stands in a sensitive member.
    pub(crate) is_redacted: bool,
    /// It stands in a member that may be missing, so that there is an empty one.
    pub(crate) has_absent: bool,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// A typed id with the prefixes that it may have.
    Id {
        prefixes: Vec<String>,
    },
    /// An open enum.
    Enum {
        variants: Vec<Variant>,
    },
    Object(Object),
    /// Objects that a member tells apart.
    Tagged(TaggedUnion),
    /// Values that their JSON kind tells apart.
    Shape(ShapeUnion),
}

/// A value of an open enum.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) wire: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) fields: Vec<Field>,
}

/// A member of an object.
#[derive(Debug)]
pub(crate) struct Field {
    /// Name on the wire.
    pub(crate) wire: String,
    /// Name in Rust.
    pub(crate) name: String,
    /// Name of the setter.
    pub(crate) setter: String,
    pub(crate) description: String,
    pub(crate) ty: Type,
    pub(crate) presence: Presence,
    /// A text that every such object has.
    pub(crate) constant: Option<Constant>,
    /// Its content is never printed.
    pub(crate) sensitive: bool,
    pub(crate) inferred: bool,
    /// An answer of a real service may lack it, whatever the documentation promises.
    pub(crate) lenient: bool,
    /// Written as `null` when there is no value, although it may be left out.
    pub(crate) sent_as_null: bool,
    /// Sentences about default and limits.
    pub(crate) rules: Vec<String>,
    /// An answer may lack it although it is required: it is read as empty.
    pub(crate) may_be_missing: bool,
}

/// The one value of a member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    /// A member called `object`: its value is a variant of `ObjectType`.
    ObjectType(String),
    Text(String),
    Bool(bool),
}

/// The four combinations of required and nullable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// `T`
    Required,
    /// `Option<T>`, always written.
    Nullable,
    /// `Option<T>`, left out when there is none.
    Optional,
    /// `Patch<T>`: absent, null and a value are three different things.
    Patch,
}

/// The type of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    String,
    Bool,
    U64,
    I64,
    F64,
    /// RFC 3339.
    DateTime,
    /// Whole Unix seconds.
    UnixTime,
    /// Any JSON value.
    Json,
    /// Any JSON object.
    JsonObject,
    Array(Box<Type>),
    /// A JSON object with free names and values of one type.
    Map(Box<Type>),
    /// The list envelope.
    List(Box<Type>),
    Named(String),
}

#[derive(Debug)]
pub(crate) struct TaggedUnion {
    /// The member that carries the tag.
    pub(crate) tag: String,
    /// The tag of an object that has none.
    pub(crate) default: Option<String>,
    pub(crate) members: Vec<TaggedMember>,
}

#[derive(Debug)]
pub(crate) struct TaggedMember {
    pub(crate) wire: String,
    /// Name of the variant.
    pub(crate) name: String,
    /// Name of the type. Several members can have one type: then their tags alone tell them apart.
    pub(crate) ty: String,
    /// What the tag means; what the type is, if the document does not say.
    pub(crate) description: Option<String>,
    /// The type has a field for the tag, so the union must not write it a second time.
    pub(crate) carries_tag: bool,
}

#[derive(Debug)]
pub(crate) struct ShapeUnion {
    pub(crate) members: Vec<ShapeMember>,
}

#[derive(Debug)]
pub(crate) struct ShapeMember {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) json_kind: JsonKind,
    pub(crate) ty: Type,
    pub(crate) sensitive: bool,
}

/// The kinds of JSON values that a shape union can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    String,
    /// A whole number from 0.
    Integer,
    Array,
    Object,
}

/// An operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub(crate) method: String,
    pub(crate) path: String,
    /// The tag.
    pub(crate) group: String,
    pub(crate) summary: String,
    pub(crate) description: Option<String>,
    pub(crate) scope: String,
    pub(crate) idempotency: String,
    pub(crate) accepts_key: bool,
    pub(crate) streams: bool,
    pub(crate) paginated: bool,
    pub(crate) generation: bool,
    pub(crate) inferred: bool,
    /// Page and section of the contract.
    pub(crate) contract: String,
    /// Names of the sub-clients, outermost first.
    pub(crate) resource: Vec<String>,
    /// Name of the method on the innermost one.
    pub(crate) client_method: String,
    /// Its endpoint is written by hand in the client.
    pub(crate) handwritten: bool,
    /// Path parameters in the order of the path.
    pub(crate) path_parameters: Vec<Parameter>,
    pub(crate) query: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) answer: Answer,
    /// What one event of the stream holds, if it can answer one.
    pub(crate) event: Option<Type>,
    /// Errors that it can answer.
    pub(crate) errors: Vec<ErrorAnswer>,
    pub(crate) samples: Vec<Sample>,
}

/// What a success holds.
#[derive(Debug)]
pub(crate) enum Answer {
    Json(Type),
    /// Bytes as they are: file contents.
    Bytes,
}

/// A path or query parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) wire: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) ty: Type,
    pub(crate) inferred: bool,
    pub(crate) rules: Vec<String>,
}

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Body {
    /// Name of the object.
    pub(crate) ty: String,
}

#[derive(Debug)]
pub(crate) struct ErrorAnswer {
    pub(crate) status: String,
    pub(crate) description: String,
}

/// A documented JSON text.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Unique name: operation, or the component that many operations share, place and name of the sample.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) json: Raw,
}

impl Type {
    /// The name of the type, or of the type of its items.
    pub(crate) fn innermost_name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Array(item) | Self::Map(item) | Self::List(item) => item.innermost_name(),
            _ => None,
        }
    }
}

impl Answer {
    /// The type of a JSON answer.
    pub(crate) fn json(&self) -> Option<&Type> {
        match self {
            Self::Json(ty) => Some(ty),
            Self::Bytes => None,
        }
    }
}

impl Api {
    /// The types by name.
    pub(crate) fn by_name(&self) -> BTreeMap<&str, &TypeDef> {
        self.types.iter().map(|def| (def.name.as_str(), def)).collect()
    }
}
