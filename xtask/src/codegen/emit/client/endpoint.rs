//! An endpoint: the struct, what makes a request of it, and its setters, on itself and on a call.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::codegen::docs::{self, Doc};
use crate::codegen::emit::{Imports, fields, objects, types};
use crate::codegen::ir::{Answer, Api, Field, Kind, Object, Operation, Parameter, Presence, Type};
use crate::codegen::names;

/// The member of a body that asks for a stream.
const STREAM: &str = "stream";

/// The member of a body that says what its stream contains.
const STREAM_OPTIONS: &str = "stream_options";

/// The member of such options that asks for the usage.
const INCLUDE_USAGE: &str = "include_usage";

/// An endpoint with more setters than this has a file of its own.
const LARGE: usize = 16;

pub(super) struct Endpoint<'a> {
    pub(super) operation: &'a Operation,
    /// Name and members of the body.
    body: Option<(&'a str, &'a Object)>,
    /// The type of the body's stream options, if they can ask for the usage.
    usage: Option<&'a str>,
    pub(super) name: Ident,
}

/// An argument of the constructor.
pub(super) struct Argument {
    pub(super) name: Ident,
    pub(super) ty: TokenStream,
}

/// A setter: its documentation, name, the type of its argument, and what it changes.
struct Setter {
    doc: Doc,
    name: Ident,
    ty: TokenStream,
    change: TokenStream,
}

impl<'a> Endpoint<'a> {
    pub(super) fn new(api: &'a Api, operation: &'a Operation) -> Self {
        let body = operation.body.as_ref().and_then(|body| object(api, &body.ty));
        let usage = body.and_then(|(_, body)| usage(api, body));
        Self { operation, body, usage, name: format_ident!("{}", names::camel(&operation.id)) }
    }

    /// Whether it has so many setters that it gets a file of its own.
    pub(super) fn is_large(&self) -> bool {
        self.operation.query.len() + self.optional().count() > LARGE
    }

    /// What the method that makes the call mentions.
    pub(super) fn argument_imports(&self, imports: &mut Imports) {
        self.operation.path_parameters.iter().for_each(|parameter| types::imports(&parameter.ty, imports));
        let required = self.body.into_iter().flat_map(|(_, object)| objects::required(object));
        required.for_each(|field| types::imports(&field.ty, imports));
    }

    /// What its own items mention, besides the arguments.
    pub(super) fn imports(&self, imports: &mut Imports) {
        let Operation { query, answer, .. } = self.operation;
        imports.uses.insert("crate::Call");
        imports.uses.extend(["crate::endpoint::BuildError", "crate::endpoint::DecodeError"]);
        imports.uses.extend(["crate::endpoint::Endpoint", "crate::endpoint::RequestParts"]);
        imports.uses.extend(["bytes::Bytes", "zumik_types::Operation", "zumik_types::operations"]);
        query.iter().for_each(|parameter| types::imports(&parameter.ty, imports));
        match answer {
            Answer::Json(ty) => {
                types::imports(ty, imports);
                imports.uses.insert("crate::endpoint::json");
            }
            Answer::Bytes => imports.uses.extend(["crate::Content", "crate::endpoint::content"]),
        }
        if let Some(event) = self.event() {
            imports.uses.insert("crate::stream::StreamEndpoint");
            types::imports(event, imports);
        }
        if query.iter().any(|parameter| parameter.ty == Type::DateTime) {
            imports.uses.insert("crate::endpoint::rfc3339");
        }
        let Some((body, _)) = self.body else { return };
        imports.own(body);
        for field in self.optional() {
            types::imports(&field.ty, imports);
            if field.presence == Presence::Patch {
                imports.own("Patch");
            }
        }
    }

    /// The members of the body that have a setter. A stream is not asked for here: its answer is no single value, and
    /// `stream()` of the call asks for it.
    fn optional(&self) -> impl Iterator<Item = &'a Field> {
        let streams = self.operation.streams;
        let optional = self.body.into_iter().flat_map(|(_, object)| objects::optional(object));
        optional.filter(move |field| !(streams && field.wire == STREAM))
    }

    /// What the constructor takes: the ids of the path, then what the body requires.
    pub(super) fn arguments(&self) -> Vec<Argument> {
        let path = self.operation.path_parameters.iter().map(|parameter| {
            let name = format_ident!("{}", parameter.name);
            let ty = types::argument(&parameter.ty, &name).ty;
            Argument { name, ty }
        });
        let body = self.body.into_iter().flat_map(|(_, object)| objects::required(object)).map(|field| {
            let name = format_ident!("{}", field.name);
            let ty = match field.presence {
                Presence::Nullable => types::member(&field.ty, field.presence),
                _ => types::argument(&field.ty, &name).ty,
            };
            Argument { name, ty }
        });
        path.chain(body).collect()
    }

    pub(super) fn items(&self) -> TokenStream {
        let definition = self.definition();
        let constructor = self.constructor();
        let conversion = self.conversion();
        let endpoint = self.endpoint();
        let call = self.call();
        let stream = self.stream();
        quote!(#definition #constructor #conversion #endpoint #stream #call)
    }

    /// A body that was built before is an endpoint already, if nothing else is needed.
    fn conversion(&self) -> Option<TokenStream> {
        let (body, _) = self.body?;
        let Operation { path_parameters, query, .. } = self.operation;
        if !path_parameters.is_empty() || !query.is_empty() {
            return None;
        }
        let (name, body) = (&self.name, format_ident!("{body}"));
        Some(quote! {
            impl From<#body> for #name {
                fn from(body: #body) -> Self {
                    Self { body }
                }
            }
        })
    }

    fn definition(&self) -> TokenStream {
        let name = &self.name;
        let Operation { method, path, summary, path_parameters, query, .. } = self.operation;
        let doc = Doc::line(format!("`{method} {path}`: {}.", docs::inline(summary))).outer();
        let segments = path_parameters.iter().map(|parameter| {
            let (doc, name, ty) =
                (parameter_doc(parameter).outer(), ident(parameter), types::rust(&parameter.ty));
            quote!(#doc pub #name: #ty)
        });
        let query = query.iter().map(|parameter| {
            let (doc, name, ty) =
                (parameter_doc(parameter).outer(), ident(parameter), types::rust(&parameter.ty));
            quote!(#doc pub #name: Option<#ty>)
        });
        let body = self.body.map(|(body, _)| {
            let body = format_ident!("{body}");
            quote! {
                /// The body.
                pub body: #body
            }
        });
        let members: Vec<_> = segments.chain(query).chain(body).collect();
        if members.is_empty() {
            return quote!(#doc #[derive(Debug, Clone, Default, PartialEq)] #[non_exhaustive] pub struct #name {});
        }
        quote! {
            #doc
            #[derive(Debug, Clone, PartialEq)]
            #[non_exhaustive]
            pub struct #name { #(#members,)* }
        }
    }

    fn constructor(&self) -> TokenStream {
        let name = &self.name;
        let arguments = self.arguments();
        let parameters = arguments.iter().map(|Argument { name, ty }| quote!(#name: #ty));
        let segments = self.operation.path_parameters.iter().map(|parameter| {
            let name = ident(parameter);
            types::initializer(&name, &types::argument(&parameter.ty, &name).value)
        });
        let query = self.operation.query.iter().map(|parameter| {
            let name = ident(parameter);
            quote!(#name: None)
        });
        let body = self.body.map(|(body, object)| {
            let (body, values) =
                (format_ident!("{body}"), objects::required(object).map(|f| format_ident!("{}", f.name)));
            quote!(body: #body::new(#(#values),*))
        });
        let members = segments.chain(query).chain(body);
        let setters = self.setters();
        let setters = setters.iter().map(|Setter { doc, name, ty, change }| {
            let doc = doc.outer();
            quote! {
                #doc
                #[must_use]
                pub fn #name(mut self, #name: #ty) -> Self {
                    #change;
                    self
                }
            }
        });
        let has_setters = !self.operation.query.is_empty() || self.optional().next().is_some();
        let doc = match (arguments.is_empty(), has_setters) {
            (true, true) => "Nothing is required; setters add what is wanted.",
            (true, false) => "Needs nothing.",
            (false, true) => "With what is required; setters add the rest.",
            (false, false) => "With everything it needs.",
        };
        let doc = Doc::line(doc).outer();
        let default = (arguments.is_empty() && has_setters).then(|| {
            quote! {
                impl Default for #name {
                    fn default() -> Self {
                        Self::new()
                    }
                }
            }
        });
        quote! {
            impl #name {
                #doc
                pub fn new(#(#parameters),*) -> Self {
                    Self { #(#members),* }
                }
                #(#setters)*
            }
            #default
        }
    }

    fn setters(&self) -> Vec<Setter> {
        let query = self.operation.query.iter().map(|parameter| {
            let name = ident(parameter);
            let argument = types::argument(&parameter.ty, &name);
            let (ty, value) = (argument.ty, argument.value);
            Setter { doc: parameter_doc(parameter), change: quote!(self.#name = Some(#value)), name, ty }
        });
        let body = self.optional().map(|field| {
            let name = setter_name(field);
            let ty = types::setter_argument(field, &name).ty;
            let change = quote!(self.body = self.body.#name(#name));
            Setter { doc: self.setter_doc(field), name, ty, change }
        });
        query.chain(body).collect()
    }

    /// The documentation of a member. A call has no setter for the member that asks for a stream.
    fn setter_doc(&self, field: &Field) -> Doc {
        let doc = fields::doc(field);
        if !self.operation.streams || field.wire != STREAM_OPTIONS {
            return doc;
        }
        doc.and(match self.usage {
            Some(_) => "[`stream()`](Call::stream) asks for the stream, and without this for its usage too.",
            None => "[`stream()`](Call::stream) asks for the stream.",
        })
    }

    fn endpoint(&self) -> TokenStream {
        let name = &self.name;
        let constant = format_ident!("{}", names::constant(&self.operation.id));
        let (output, reader) = match &self.operation.answer {
            Answer::Json(ty) => (types::rust(ty), quote!(json)),
            Answer::Bytes => (quote!(Content), quote!(content)),
        };
        let segments = self.operation.path_parameters.iter().map(|parameter| {
            let name = ident(parameter);
            quote!(self.#name.as_str())
        });
        let parts = quote!(RequestParts::new(Self::OPERATION, &[#(#segments),*]));
        let query: Vec<_> = self
            .operation
            .query
            .iter()
            .map(|parameter| {
                let (wire, name) = (&parameter.wire, ident(parameter));
                match parameter.ty {
                    Type::DateTime => quote!(.query(#wire, &self.#name.map(rfc3339))),
                    _ => quote!(.query(#wire, &self.#name)),
                }
            })
            .collect();
        let parts = match (query.is_empty(), self.body) {
            (true, None) => parts,
            (false, None) => quote!(Ok(#parts? #(#query)*)),
            (_, Some(_)) => quote!(#parts? #(#query)* .json(&self.body)),
        };
        let whole = self.whole();
        quote! {
            impl Endpoint for #name {
                const OPERATION: &'static Operation = &operations::#constant;
                type Output = #output;

                #whole

                fn parts(&self) -> Result<RequestParts, BuildError> {
                    #parts
                }

                fn decode(body: &Bytes) -> Result<Self::Output, DecodeError> {
                    #reader(body)
                }
            }
        }
    }

    /// What takes the wish for a stream out of a body that was built before, if it can have one.
    fn whole(&self) -> Option<TokenStream> {
        self.event()?;
        let options = self.has(STREAM_OPTIONS).then(|| quote!(self.body.stream_options = None;));
        Some(quote! {
            fn whole(mut self) -> Self {
                self.body.stream = None;
                #options
                self
            }
        })
    }

    /// What asks for a stream of events, if the operation has one: with the usage, as a whole answer has it, unless the
    /// caller says what the stream contains.
    fn stream(&self) -> Option<TokenStream> {
        let (name, event) = (&self.name, types::rust(self.event()?));
        let usage = self.usage.map(|options| {
            let options = format_ident!("{options}");
            quote! {
                self.body.stream_options.get_or_insert_with(|| #options::new().include_usage(true));
            }
        });
        Some(quote! {
            impl StreamEndpoint for #name {
                type Event = #event;

                fn streaming(mut self) -> Self {
                    self.body.stream = Some(true);
                    #usage
                    self
                }
            }
        })
    }

    /// Whether the body has this optional member.
    fn has(&self, wire: &str) -> bool {
        self.body
            .into_iter()
            .flat_map(|(_, object)| objects::optional(object))
            .any(|field| field.wire == wire)
    }

    /// What one event holds, if the body can ask for a stream.
    fn event(&self) -> Option<&'a Type> {
        let (_, object) = self.body?;
        objects::optional(object).find(|field| field.wire == STREAM)?;
        self.operation.event.as_ref()
    }

    /// The setters on a call, which is what users chain.
    fn call(&self) -> Option<TokenStream> {
        let setters = self.setters();
        if setters.is_empty() {
            return None;
        }
        let name = &self.name;
        let setters = setters.iter().map(|Setter { doc, name, ty, .. }| {
            let doc = doc.outer();
            quote! {
                #doc
                pub fn #name(self, #name: #ty) -> Self {
                    self.map(|endpoint| endpoint.#name(#name))
                }
            }
        });
        Some(quote!(impl Call<'_, #name> { #(#setters)* }))
    }
}

/// A named object of the API.
fn object<'a>(api: &'a Api, wanted: &str) -> Option<(&'a str, &'a Object)> {
    api.types.iter().find(|def| def.name == wanted).and_then(|def| match &def.kind {
        Kind::Object(object) => Some((def.name.as_str(), object)),
        _ => None,
    })
}

/// The type of the stream options of a body, if they can ask for the usage.
fn usage<'a>(api: &'a Api, body: &Object) -> Option<&'a str> {
    let options = objects::optional(body).find(|field| field.wire == STREAM_OPTIONS)?;
    let Type::Named(options) = &options.ty else { return None };
    let (name, options) = object(api, options)?;
    objects::optional(options)
        .any(|field| field.wire == INCLUDE_USAGE && field.ty == Type::Bool)
        .then_some(name)
}

fn ident(parameter: &Parameter) -> Ident {
    format_ident!("{}", parameter.name)
}

fn setter_name(field: &Field) -> Ident {
    format_ident!("{}", field.setter)
}

fn parameter_doc(parameter: &Parameter) -> Doc {
    let mut notes = parameter.rules.clone();
    if parameter.inferred {
        notes.push("Inferred, not documented.".to_owned());
    }
    Doc::description(&parameter.description).and_maybe((!notes.is_empty()).then(|| notes.join(" ")))
}
