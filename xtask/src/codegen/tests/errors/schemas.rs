//! Documents, schemas and unions that are refused.

use super::{changed, member, with_schemas};

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

pub(super) fn cases() -> Vec<(&'static str, String)> {
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
        ("a setter is called as the constructor", {
            let inner = "{ name: { type: string, x-rust-setter: new, description: N. } }";
            member(&format!("{{ type: object, properties: {inner}, description: A part. }}"))
        }),
        ("two setters have one name", {
            changed(
                "properties: {}",
                "properties: { a: { type: string, description: A. }, b: { type: string, x-rust-setter: a, description: B. } }",
            )
            .replacen("properties: { a:", "properties: { inner: { type: object, description: I., properties: { a:", 1)
            .replacen("description: B. } }", "description: B. } } } }", 1)
        }),
        ("a component has the name of a type that is written by hand", {
            with_schemas("\n    Patch: { type: object, description: P., properties: {} }\n")
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
        (
            "a component is sensitive",
            with_schemas("\n    Text: { type: string, x-sensitive: true, description: A text. }\n"),
        ),
        ("a component has no description", with_schemas("\n    Text: { type: object, properties: {} }\n")),
        (
            "a list has other members",
            with_schemas(
                "\n    Things: { x-list: true, description: L., properties: { total: { type: string, description: T. } } }\n",
            ),
        ),
        (
            "an item of a list is nullable",
            with_schemas(
                "\n    Texts: { x-list: true, description: L., properties: { data: { type: array, items: { type: [string, 'null'] }, \
                 description: T. } } }\n",
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
        ("an item is a constant", member("{ type: array, items: { const: a }, description: A part. }")),
        ("a constant may be null", {
            member("{ oneOf: [{ const: a }, { type: 'null' }], description: A part. }")
        }),
        ("an item is in Unix seconds", {
            member("{ type: array, items: { type: integer, format: unix-time }, description: A part. }")
        }),
        ("a value is in Unix seconds", {
            let value = "{ type: integer, format: unix-time }";
            member(&format!("{{ type: object, additionalProperties: {value}, description: A part. }}"))
        }),
        ("Unix seconds are absent, null or there", {
            member("{ type: [integer, 'null'], format: unix-time, description: A part. }")
        }),
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
            "two members of a union have one name",
            member(
                "{ x-union: shape, description: A part., oneOf: [{ title: A, type: string, description: A. }, \
                 { title: A, type: integer, minimum: 0, description: B. }] }",
            ),
        ),
        (
            "a member of a union is called as what is unknown",
            member(
                "{ x-union: shape, description: A part., oneOf: [{ title: Unrecognized, type: string, \
                 description: A. }] }",
            ),
        ),
        (
            "a member of a union is nullable",
            member(
                "{ x-union: shape, description: A part., oneOf: [{ title: A, type: [string, 'null'], \
                 description: A. }] }",
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
    ]
}
