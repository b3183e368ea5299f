//! Every way in which a document can be refused: the place, the problem and a way out.

use std::fmt::Write as _;

use insta::assert_snapshot;

use super::{generate, with_schemas};

/// A thing with one member.
fn member(schema: &str) -> String {
    with_schemas(&format!(
        "\n    Thing:\n      type: object\n      description: A thing.\n      properties:\n        part: {schema}\n"
    ))
}

/// A document in which `from` is replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    let document = with_schemas(
        "
    ThingId: { type: string, x-id-prefix: [thg_], description: Id of a thing. }
    Thing: { type: object, description: A thing., properties: {} }
",
    );
    assert!(document.contains(from), "{from:?} is not in the document");
    document.replace(from, to)
}

/// A document whose operation has these parameters.
fn parameters(list: &str) -> String {
    changed("      requestBody:", &format!("      parameters: {list}\n      requestBody:"))
}

/// A tagged union of `Word` with this discriminator.
fn tagged(discriminator: &str, word: &str) -> String {
    with_schemas(&format!(
        "
    Thing:
      type: object
      description: A thing.
      properties:
        item: {{ $ref: '#/components/schemas/Item', description: The item. }}
    Item:
      description: An item.
      oneOf: [{{ $ref: '#/components/schemas/Word' }}]
      discriminator: {discriminator}
    Word: {word}
"
    ))
}

/// A tagged union in which a type has two tags, and the member that carries them.
fn two_tags(tag: &str, last: &str) -> String {
    let mapping = "{ propertyName: type, mapping: { word.a: '#/components/schemas/Word', word.b: '#/components/schemas/Word' } }";
    let word =
        format!("{{ type: object, description: A word., required: [type], properties: {{ type: {tag} }} }}");
    tagged(&format!("{mapping}{last}"), &word)
}

const PLAIN_TAG: &str = "{ type: string, x-rust-name: kind, description: Tag. }";

const WORD: &str = "{ type: object, description: A word., required: [type], properties: { type: { type: string, \
                    const: word, x-rust-name: kind, description: Tag. } } }";

/// The success of the operation of the document, and the same one with a stream beside it.
const ANSWER: &str = "content: { application/json: { schema: { $ref: '#/components/schemas/Answer'";
const STREAM: &str = "content: { text/event-stream: { schema: {} }, application/json: { schema: { $ref: \
                      '#/components/schemas/Answer'";

fn cases() -> Vec<(&'static str, String)> {
    let mapping = "{ propertyName: type, mapping: { word: '#/components/schemas/Word' } }";
    vec![
        // The document
        ("it is not YAML", "openapi: [".to_owned()),
        ("a name stands twice", "a: 1\na: 2".to_owned()),
        ("it is not OpenAPI", "openapi: 3.1.0\npaths: 7".to_owned()),
        ("a keyword of the root is unknown", changed("info:", "x-surprise: 1\ninfo:")),
        ("a keyword is missing", changed("      x-scope: inference\n", "")),
        ("a value has another kind", changed("x-scope: inference", "x-scope: [inference]")),
        (
            "a reference leads nowhere",
            member("{ $ref: '#/components/schemas/Nobody', description: A part. }"),
        ),
        ("a reference leaves the file", member("{ $ref: 'other.yaml#/Part', description: A part. }")),
        // Members and objects
        (
            "a keyword of a schema is unknown",
            member("{ type: string, description: A part., readOnly: true }"),
        ),
        ("a member has no description", member("{ type: string }")),
        (
            "a name is a Rust keyword",
            changed("properties: {}", "properties: { type: { type: string, description: T. } }"),
        ),
        ("a chosen name is none", member("{ type: string, x-rust-name: Part, description: A part. }")),
        (
            "two members have one name",
            changed(
                "properties: {}",
                "properties: { a: { type: string, description: A. }, b: { type: string, x-rust-name: a, description: B. } }",
            ),
        ),
        (
            "a required member does not exist",
            changed("description: A thing., properties", "description: A thing., required: [b], properties"),
        ),
        (
            "null has an unknown meaning",
            member("{ type: [string, 'null'], x-null: zero, description: A part. }"),
        ),
        (
            "null means absent where it cannot stand",
            member("{ type: string, x-null: absent, description: A part. }"),
        ),
        ("the evidence is unknown", member("{ type: string, x-evidence: guessed, description: A part. }")),
        ("an object has no members", member("{ type: object, description: A part. }")),
        (
            "an object has free members beside its own",
            member("{ type: object, properties: {}, additionalProperties: true, description: A part. }"),
        ),
        ("a type clashes with another", {
            let schemas = "
    Thing:
      type: object
      description: A thing.
      properties: { part: { type: object, properties: {}, description: A part. } }
    ThingPart: { type: object, description: A part., properties: {} }
";
            with_schemas(schemas)
        }),
        (
            "a component is no name in Rust",
            with_schemas("\n    thing-id: { type: object, description: A., properties: {} }\n"),
        ),
        ("a component refers to itself", {
            member("{ $ref: '#/components/schemas/Words', description: A part. }")
                + "    Words: { type: array, items: { $ref: '#/components/schemas/Words' }, description: W. }\n"
        }),
        ("a thing holds itself", member("{ $ref: '#/components/schemas/Thing', description: A part. }")),
        ("a setter is no name in Rust", {
            member("{ type: string, x-rust-setter: set-part, description: A part. }")
        }),
        (
            "a module is no name in Rust",
            with_schemas(
                "\n    Word: { type: object, x-module: ../words, description: W., properties: {} }\n",
            ),
        ),
        (
            "a module stands beside the types",
            with_schemas("\n    Word: { type: object, x-module: tests, description: W., properties: {} }\n"),
        ),
        ("a component of text is no name in Rust", {
            with_schemas("\n    1st: { type: string, description: F. }\n")
        }),
        (
            "a component is nullable",
            with_schemas("\n    Text: { type: [string, 'null'], description: A text. }\n"),
        ),
        ("a component has no description", with_schemas("\n    Text: { type: object, properties: {} }\n")),
        (
            "a list has other members",
            with_schemas(
                "\n    Things: { x-list: true, description: L., properties: { total: { type: string, description: T. } } }\n",
            ),
        ),
        // Types
        ("a type has no form in Rust", member("{ type: 'null', description: A part. }")),
        ("there are several types", member("{ type: [string, boolean], description: A part. }")),
        ("a keyword combines schemas", member("{ allOf: [{ type: string }], description: A part. }")),
        ("a text has an unknown format", member("{ type: string, format: uuid, description: A part. }")),
        ("an integer may be of any size", member("{ type: integer, description: A part. }")),
        (
            "an integer has an unknown format",
            member("{ type: integer, format: int32, description: A part. }"),
        ),
        ("a number has an unknown format", member("{ type: number, format: float, description: A part. }")),
        (
            "an item is nullable",
            member("{ type: array, items: { type: [string, 'null'] }, description: A part. }"),
        ),
        ("a constant is a number", member("{ const: 7, description: A part. }")),
        ("a constant is no text", member("{ type: boolean, const: yes-and-no, description: A part. }")),
        ("a constant is no boolean", member("{ type: string, const: true, description: A part. }")),
        // Enums
        (
            "a value is called as the variant for others",
            member("{ type: string, enum: [unrecognized], description: A part. }"),
        ),
        ("two values have one variant", member("{ type: string, enum: [a_b, a.b], description: A part. }")),
        ("a value is no name in Rust", member("{ type: string, enum: ['1st'], description: A part. }")),
        (
            "a description has no value",
            member("{ type: string, enum: [a], x-enum-descriptions: { b: B. }, description: A part. }"),
        ),
        // Unions
        (
            "a union is not told apart",
            member("{ oneOf: [{ type: string }, { type: boolean }], description: A part. }"),
        ),
        (
            "a union has an unknown kind",
            member("{ oneOf: [{ type: string }], x-union: guess, description: A part. }"),
        ),
        (
            "two members of a union have one kind",
            member(
                "{ x-union: shape, description: A part., oneOf: [{ title: A, type: string, description: A. }, \
                 { title: B, type: string, description: B. }] }",
            ),
        ),
        (
            "a member of a union has no kind",
            member(
                "{ x-union: shape, description: A part., oneOf: [{ title: A, type: boolean, description: A. }] }",
            ),
        ),
        ("an item of a union is inline", {
            member(
                "{ description: A part., oneOf: [{ type: object, properties: {} }], \
                 discriminator: { propertyName: type, mapping: {} } }",
            )
        }),
        (
            "a tag leads elsewhere",
            tagged("{ propertyName: type, mapping: { thing: '#/components/schemas/Thing' } }", WORD),
        ),
        ("a member has no tag", tagged("{ propertyName: type, mapping: {} }", WORD)),
        (
            "a member does not carry the tag",
            tagged(mapping, "{ type: object, description: W., properties: {} }"),
        ),
        ("a member carries another tag", tagged(mapping, &WORD.replace("const: word", "const: verb"))),
        ("a member is no object", tagged(mapping, "{ type: string, enum: [a], description: W. }")),
        ("the default tag is none", tagged(&format!("{mapping}\n      x-default-tag: verb"), WORD)),
        (
            "a tag that is not there is described",
            tagged(&format!("{mapping}\n      x-tag-descriptions: {{ verb: A verb. }}"), WORD),
        ),
        ("two tags have one variant", two_tags(PLAIN_TAG, "\n      x-variant-prefix: word.").replace("word.b", "a")),
        (
            "a type with two tags has a constant",
            two_tags("{ type: string, const: word.a, x-rust-name: kind, description: Tag. }", ""),
        ),
        (
            "a type with two tags stands elsewhere",
            two_tags(PLAIN_TAG, "").replace(
                "      properties:\n        item:",
                "      properties:\n        word: { $ref: '#/components/schemas/Word', description: A word. }\n        item:",
            ),
        ),
        // Schemas as a whole
        (
            "a client makes a text",
            with_schemas("\n    Name: { type: string, x-request: true, description: A name. }\n"),
        ),
        // Sensitive members
        (
            "a sensitive member cannot be measured",
            member("{ type: object, properties: {}, x-sensitive: true, description: A part. }"),
        ),
        // Operations
        (
            "two operations have one name",
            changed("paths:\n", &format!("paths:\n{}", SECOND.replace("{id}", "createThing"))),
        ),
        (
            "two methods have one name",
            changed("paths:\n", &format!("paths:\n{}", SECOND.replace("{id}", "makeThing"))),
        ),
        ("a method of HTTP is unknown", changed("    post:", "    patch: {}\n    post:")),
        ("there is no tag", changed("tags: [Things]", "tags: []")),
        ("a sub-client is no name in Rust", changed("x-resource: [things]", "x-resource: [my things]")),
        ("a method is no name in Rust", changed("x-method: create", "x-method: match")),
        ("the scope is unknown", changed("x-scope: inference", "x-scope: root")),
        ("there is no sub-client", changed("x-resource: [things]", "x-resource: []")),
        ("a sub-client is not described", changed("x-resource: [things]", "x-resource: [v9, things]")),
        (
            "nothing belongs to a sub-client",
            changed("{ things: Things. }", "{ things: Things., others: Others. }"),
        ),
        ("a sub-client is called as a type", changed("[things]", "[thing]").replace("{ things:", "{ thing:")),
        ("pages have no cursor", changed("x-scope", "x-paginated: true\n      x-scope")),
        ("a stream is not announced", changed(ANSWER, STREAM)),
        (
            "a stream cannot be asked for",
            changed(ANSWER, STREAM).replace("x-scope", "x-streams: true\n      x-scope"),
        ),
        // Parameters
        ("a path parameter is not described", changed("/v2/things:", "/v2/things/{thing_id}:")),
        (
            "a path parameter is not in the path",
            parameters(
                "[{ name: id, in: path, required: true, description: Id., schema: { type: string } }]",
            ),
        ),
        (
            "a path parameter is optional",
            parameters("[{ name: id, in: path, description: Id., schema: { type: string } }]"),
        ),
        ("a path parameter is no id", {
            let parameter =
                "[{ name: id, in: path, required: true, description: Id., schema: { type: boolean } }]";
            parameters(parameter).replace("/v2/things:", "/v2/things/{id}:")
        }),
        (
            "a query parameter is required",
            parameters("[{ name: q, in: query, required: true, description: Q., schema: { type: string } }]"),
        ),
        (
            "a parameter is a cookie",
            parameters("[{ name: q, in: cookie, description: Q., schema: { type: string } }]"),
        ),
        (
            "a header is unknown",
            parameters("[{ name: X-New, in: header, description: N., schema: { type: string } }]"),
        ),
        (
            "a setter is an option of every call",
            parameters("[{ name: timeout, in: query, description: T., schema: { type: string } }]"),
        ),
        ("two arguments have one name", {
            let parameter =
                "[{ name: a, in: path, required: true, description: Id., schema: { type: string } }]";
            let schema =
                "description: A thing., required: [a], properties: { a: { type: string, description: A. } }";
            parameters(parameter)
                .replace("/v2/things:", "/v2/things/{a}:")
                .replace("description: A thing., properties: {}", schema)
        }),
        (
            "a parameter leads in a ring",
            parameters("[{ $ref: '#/components/parameters/Again' }]").replace(
                "\ncomponents:\n",
                "\ncomponents:\n  parameters: { Again: { $ref: '#/components/parameters/Again' } }\n",
            ),
        ),
        // Bodies and answers
        (
            "a body is multipart",
            changed(
                "application/json: { schema: { $ref: '#/components/schemas/Thing'",
                "multipart/form-data: { schema: { $ref: '#/components/schemas/Thing'",
            ),
        ),
        (
            "a body is no object",
            changed("schema: { $ref: '#/components/schemas/Thing' }", "schema: { type: string }"),
        ),
        ("an answer has another status", changed("'200':", "'204':")),
        ("the status of an answer is no number", changed("responses: {", "responses: { '4.4': { description: No. },")),
        ("a sample is no name in Rust", changed("Answer' } }", "Answer' }, examples: { 'größe': { value: {} } } }")),
        (
            "two samples have one name",
            changed("Answer' } }", "Answer' }, examples: { a-b: { value: {} }, a.b: { value: {} } } }"),
        ),
        ("an answer is no name in Rust", {
            changed("responses/Thing'", "responses/größe'").replace("\n    Thing:\n      description: The thing.", "\n    größe:\n      description: The thing.")
        }),
        ("there is no success", changed("'200':", "'400':")),
        (
            "a success has no content",
            changed("'200': { $ref: '#/components/responses/Thing' }", "'200': { description: Nothing. }"),
        ),
        (
            "an answer has another media type",
            changed(
                "      content: { application/json: { schema: { $ref: '#/components/schemas/Answer",
                "      content: { text/html: { schema: { $ref: '#/components/schemas/Answer",
            ),
        ),
        (
            "an answer is text",
            changed(
                "content: { application/json: { schema: { $ref: '#/components/schemas/Answer' } } }",
                "content: { text/plain: { schema: { type: string } } }",
            ),
        ),
    ]
}

const SECOND: &str = "  /v2/more:
    post:
      operationId: {id}
      tags: [Things]
      summary: Create more
      x-scope: inference
      x-idempotency: key
      x-resource: [things]
      x-method: create
      x-contract: v2.md#more
      responses: { '200': { $ref: '#/components/responses/Thing' } }
";

#[test]
fn a_refusal_names_the_place_the_problem_and_a_way_out() {
    let mut report = String::new();
    for (title, yaml) in cases() {
        match generate(&yaml) {
            Err(error) => writeln!(report, "{title}\n  {error}\n").unwrap(),
            Ok(_) => panic!("accepted although {title}:\n{yaml}"),
        }
    }
    assert_snapshot!(report);
}
