//! Tests of the generator: golden files for tiny documents, every error message, determinism.

mod errors;
mod goldens;
mod names;

use super::document::Document;
use super::emit::Sources;
use super::error::Result;
use super::{emit, lower, output};
use crate::process::workspace;

/// Around the schemas of a test: one operation that takes a `Thing`, and one that answers it.
const DOCUMENT: &str = "
openapi: 3.1.0
info: { title: Things, version: 1.0.0 }
tags: [{ name: Things, description: Things. }]
x-resources: { things: Things. }
paths:
  /v2/things:
    post:
      operationId: createThing
      tags: [Things]
      summary: Create a thing
      x-scope: inference
      x-idempotency: key
      x-resource: [things]
      x-method: create
      x-contract: v2.md#things
      requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/Thing' } } } }
      responses: { '200': { $ref: '#/components/responses/Thing' } }
components:
  responses:
    Thing:
      description: The thing.
      content: { application/json: { schema: { $ref: '#/components/schemas/Answer' } } }
";

/// What stands in for a schema that a test says nothing about.
const DEFAULTS: &[(&str, &str)] = &[
    ("\n    Thing:", "    Thing: { type: object, description: A thing., properties: {} }\n"),
    ("\n    Answer:", "    Answer: { type: object, description: An answer., properties: {} }\n"),
];

/// A document with these component schemas, indented by four.
fn with_schemas(schemas: &str) -> String {
    let missing = DEFAULTS.iter().filter(|(name, _)| !schemas.contains(name));
    let defaults: String = missing.map(|(_, schema)| *schema).collect();
    format!("{DOCUMENT}  schemas:{schemas}{defaults}")
}

fn generate(yaml: &str) -> Result<Sources> {
    let document = Document::parse(yaml)?;
    Ok(emit::emit(&lower::lower(&document)?))
}

/// One generated file of a document, formatted.
fn file(yaml: &str, path: &str) -> String {
    let mut sources = generate(yaml).unwrap_or_else(|error| panic!("{error}"));
    let code = sources.remove(path).unwrap_or_else(|| panic!("no {path} among {:?}", sources.keys()));
    output::format(workspace(), code).expect("generated code is formatted")
}

#[test]
fn two_runs_give_the_same_bytes() {
    let yaml = with_schemas(goldens::TAGGED);
    let texts = || -> Vec<_> {
        let sources = generate(&yaml).expect("a valid document");
        sources.into_iter().map(|(path, code)| (path, output::format(workspace(), code).unwrap())).collect()
    };
    assert_eq!(texts(), texts());
}

#[test]
fn formatting_generated_code_again_changes_nothing() {
    let text = file(&with_schemas(goldens::TAGGED), "crates/zumik-types/src/generated/things.rs");
    let again = output::rustfmt(workspace(), &text).expect("formatted code is formatted");
    assert_eq!(text, again);
}
