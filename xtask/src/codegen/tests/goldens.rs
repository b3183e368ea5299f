//! What each construct of the document becomes.

use insta::assert_snapshot;

use super::{file, generate, with_schemas};

const TYPES: &str = "crates/zumik-types/src/generated/things.rs";
const IDS: &str = "crates/zumik-types/src/generated/ids.rs";
const COMMON: &str = "crates/zumik-types/src/generated/common.rs";
const OPERATIONS: &str = "crates/zumik-types/src/generated/operations/mod.rs";
const ROWS: &str = "crates/zumik-types/src/generated/operations/things.rs";
const STRATEGIES: &str = "crates/zumik-types/src/generated/arbitrary/things.rs";
const CLIENT: &str = "crates/zumik-client/src/generated/things.rs";

/// A tagged union of three members: without a field for the tag, with an optional one, and used elsewhere too.
pub(super) const TAGGED: &str = "
    Thing:
      type: object
      description: Holds items.
      required: [items, last]
      properties:
        items: { type: array, items: { $ref: '#/components/schemas/Item' }, description: The items. }
        last: { $ref: '#/components/schemas/Stone', description: The last stone. }
    Item:
      description: An item.
      oneOf:
        - $ref: '#/components/schemas/Word'
        - $ref: '#/components/schemas/Verb'
        - $ref: '#/components/schemas/Stone'
      discriminator:
        propertyName: type
        mapping:
          word: '#/components/schemas/Word'
          call: '#/components/schemas/Verb'
          stone: '#/components/schemas/Stone'
      x-default-tag: word
    Word:
      type: object
      description: A word. Its type may be missing.
      required: [text]
      properties:
        type: { type: string, const: word, x-rust-name: kind, description: Always `word`. }
        text: { type: string, x-sensitive: true, description: What it says. }
    Verb:
      type: object
      description: A call.
      required: [type, name]
      properties:
        type: { type: string, const: call, x-rust-name: kind, description: Always `call`. }
        name: { type: string, description: What is called. }
    Stone:
      type: object
      description: A stone, which stands alone too.
      required: [type]
      properties:
        type: { type: string, const: stone, x-rust-name: kind, description: Always `stone`. }
";

#[test]
fn the_four_combinations_of_required_and_nullable_in_a_request() {
    let schemas = "
    Thing:
      type: object
      description: A thing. It has everything.
      required: [a, b, at, seen_at]
      properties:
        a: { type: string, minLength: 1, description: Required. }
        b: { type: [string, 'null'], description: Required and nullable. }
        c: { type: integer, minimum: 1, maximum: 255, default: 7, description: Optional. }
        d: { type: [string, 'null'], description: Optional and nullable. }
        e: { type: [boolean, 'null'], x-null: absent, description: Null means absent. }
        f: { type: [boolean, 'null'], x-null: sent, description: Null is sent for absent. }
        at: { type: string, format: date-time, description: RFC 3339. }
        seen_at: { type: integer, format: unix-time, description: Unix seconds. }
        gone_at: { type: integer, format: unix-time, description: Optional Unix seconds. }
";
    assert_snapshot!(file(&with_schemas(schemas), TYPES));
}

#[test]
fn a_lower_limit_of_zero_is_told_where_a_value_could_be_negative() {
    let schemas = "
    Thing:
      type: object
      description: A thing.
      required: [count, money, share, heat, names]
      properties:
        count: { type: integer, minimum: 0, maximum: 9, description: A count. }
        money: { type: integer, format: int64, minimum: 0, description: Money. }
        share: { type: number, minimum: 0, maximum: 2, description: A share. }
        heat: { type: number, maximum: 2, description: Heat. }
        names: { type: array, items: { type: string }, minItems: 0, maxItems: 3, description: Names. }
";
    let text = file(&with_schemas(schemas), TYPES);
    let rules =
        text.lines().map(str::trim).filter(|line| line.contains("/// From") || line.contains("/// At "));
    let expected =
        ["/// At most 9.", "/// At least 0.", "/// From 0 to 2.", "/// At most 2.", "/// At most 3 items."];
    assert_eq!(rules.collect::<Vec<_>>(), expected);
}

#[test]
fn an_answer_is_read_leniently_where_it_is_inferred_or_services_are_careless() {
    let schemas = "
    Answer:
      type: object
      description: An answer.
      required: [object, id, size, parts, share, label, scope, gone_at]
      properties:
        object: { type: string, const: answer.done, description: Always `answer.done`. }
        id: { $ref: '#/components/schemas/ThingId', x-evidence: inferred, description: Its id. }
        size: { type: integer, format: uint64, description: Bytes. }
        parts: { type: array, items: { type: string }, x-lenient: true, description: Parts. }
        share: { type: number, x-evidence: inferred, description: From 0 to 1. }
        label: { type: [string, 'null'], x-evidence: inferred, description: A label. }
        scope: { $ref: '#/components/schemas/Reach', x-evidence: inferred, description: What it covers. }
        gone_at: { type: [integer, 'null'], format: unix-time, description: When it goes. }
        any: { description: Any JSON. }
        free: { type: object, additionalProperties: true, description: Any object. }
        counts: { type: object, additionalProperties: { type: integer, minimum: 0 }, description: By name. }
    Reach:
      type: object
      description: A reach.
      required: [names]
      properties:
        names: { type: array, items: { type: string }, description: Names. }
    ThingId: { type: string, x-id-prefix: [thg_, old_], description: Id of a thing. }
";
    let yaml = with_schemas(schemas);
    assert_snapshot!("an_answer", file(&yaml, TYPES));
    assert_snapshot!("an_id", file(&yaml, IDS));
    assert_snapshot!("object_types", file(&yaml, COMMON));
}

#[test]
fn an_enum_is_open() {
    let schemas = "
    Thing:
      type: object
      description: A thing.
      required: [color]
      properties:
        color: { $ref: '#/components/schemas/Color', description: Its color. }
        size: { type: string, enum: [small, very.large], description: Its size. }
    Color:
      type: string
      description: A color. More will come.
      enum: [dark_red, blue]
      x-enum-descriptions: { dark_red: A red that is dark., blue: RGB 0 0 255. }
";
    assert_snapshot!(file(&with_schemas(schemas), TYPES));
}

#[test]
fn a_sensitive_member_is_redacted() {
    let schemas = "
    Thing:
      type: object
      description: A thing.
      required: [content, hidden]
      properties:
        content: { type: string, x-sensitive: true, description: What nobody may read. }
        hidden: { $ref: '#/components/schemas/Hidden', x-sensitive: true, description: A text or an object. }
    Hidden:
      description: A text or an object.
      x-union: shape
      oneOf:
        - { title: Text, type: string, description: A text. }
        - { title: Free, type: object, additionalProperties: true, description: An object. }
";
    assert_snapshot!(file(&with_schemas(schemas), TYPES));
}

#[test]
fn a_tagged_union_keeps_what_it_does_not_know() {
    let yaml = with_schemas(TAGGED);
    assert_snapshot!("tagged_union", file(&yaml, TYPES));
    assert_snapshot!("tagged_union_strategies", file(&yaml, STRATEGIES));
}

#[test]
fn a_shape_union_is_told_apart_by_the_json_kind() {
    let schemas = "
    Thing:
      type: object
      description: A thing.
      required: [input]
      properties:
        input: { $ref: '#/components/schemas/Input', description: The input. }
        target: { oneOf: [{ $ref: '#/components/schemas/Target' }, { type: 'null' }], description: The target. }
    Input:
      description: A text or a list.
      x-union: shape
      oneOf:
        - { title: Text, type: string, x-sensitive: true, description: A text. }
        - { title: Items, type: array, items: { type: string }, description: Texts. }
        - { title: Number, type: integer, minimum: 0, description: A number. }
    Target:
      description: An id or an object.
      x-union: shape
      oneOf:
        - { title: Id, $ref: '#/components/schemas/ThingId', description: An id. }
        - { title: Whole, $ref: '#/components/schemas/Whole', description: A whole. }
    Whole: { type: object, description: A whole., properties: {} }
    ThingId: { type: string, x-id-prefix: [thg_], description: Id of a thing. }
";
    assert_snapshot!(file(&with_schemas(schemas), TYPES));
}

#[test]
fn one_type_can_have_several_tags() {
    let schemas = "
    Thing:
      type: object
      description: A thing.
      required: [last]
      properties:
        last: { $ref: '#/components/schemas/Change', description: The last change. }
    Change:
      description: A change.
      oneOf:
        - $ref: '#/components/schemas/Whole'
        - $ref: '#/components/schemas/Fault'
      discriminator:
        propertyName: type
        mapping:
          thing.made: '#/components/schemas/Whole'
          thing.done: '#/components/schemas/Whole'
          error: '#/components/schemas/Fault'
      x-variant-prefix: thing.
      x-tag-descriptions: { thing.made: It is there., thing.done: The end. }
    Whole:
      type: object
      description: A whole.
      required: [type, name]
      properties:
        type: { type: string, x-rust-name: kind, description: Which change. }
        name: { type: string, description: Its name. }
    Fault:
      type: object
      description: A fault.
      required: [type]
      properties:
        type: { type: string, const: error, x-rust-name: kind, description: Always `error`. }
";
    assert_snapshot!(file(&with_schemas(schemas), TYPES));
}

#[test]
fn a_schema_shows_samples_and_says_who_makes_it() {
    let schemas = "
    Line:
      x-module: things
      x-request: true
      type: object
      description: A line of a file.
      required: [id, vector]
      properties:
        id: { type: string, description: Its id. }
        vector: { $ref: '#/components/schemas/Vector', description: Its vector. }
        sizes: { type: array, items: { type: integer, minimum: 0 }, x-sensitive: true, description: Sizes. }
      examples:
        - { id: a, vector: [1] }
        - { id: b, vector: [] }
    Vector:
      x-handwritten: true
      description: A vector.
      anyOf: [{ type: string }, { type: array }]
";
    let yaml = with_schemas(schemas);
    assert_snapshot!("a_line", file(&yaml, TYPES));
    let tests = "crates/zumik-types/src/generated/tests";
    assert_snapshot!("samples_of_schemas", file(&yaml, &format!("{tests}/samples_schemas.rs")));
    assert_snapshot!("a_redacted_number", file(&yaml, &format!("{tests}/redaction.rs")));
}

#[test]
fn an_operation_becomes_a_row_an_endpoint_and_a_method() {
    let yaml = with_schemas(
        "
    Thing:
      type: object
      description: A thing to make.
      required: [name, parts]
      properties:
        name: { type: string, description: Its name. }
        parts: { type: array, items: { $ref: '#/components/schemas/ThingId' }, description: Its parts. }
        session_id: { type: string, x-rust-setter: session, description: The session. }
        head: { type: [string, 'null'], description: Checked when it is sent. }
    Replacement:
      type: object
      description: What a thing is replaced by.
      required: [name]
      properties:
        name: { type: string, description: Its name. }
        stream: { type: boolean, default: false, description: Events? }
        stream_options: { $ref: '#/components/schemas/ThingStreamOptions', description: What the stream contains. }
        made_at: { type: string, format: date-time, description: When it was made. }
    ThingStreamOptions:
      type: object
      description: Options of a stream.
      properties:
        include_usage: { type: boolean, default: false, description: Usage? }
    ThingId: { type: string, x-id-prefix: [thg_], description: Id of a thing. }
    ThingList:
      type: object
      x-list: true
      description: Things.
      required: [object, data, has_more]
      properties:
        object: { type: string, const: list, description: Always `list`. }
        data: { type: array, items: { $ref: '#/components/schemas/Thing' }, description: Things. }
        has_more: { type: boolean, description: More? }
",
    );
    let operations = "paths:
  /v2/boxes/{box_id}/things/{thing_id}:
    parameters:
      - { name: thing_id, in: path, required: true, description: Id of the thing., schema: { $ref: '#/components/schemas/ThingId' } }
      - { name: box_id, in: path, required: true, description: Id of the box., schema: { type: string } }
    get:
      operationId: listParts
      tags: [Things]
      summary: List the parts
      description: Lists the parts of a thing. There are pages.
      x-scope: read
      x-idempotency: safe
      x-evidence: inferred
      x-paginated: true
      x-resource: [things]
      x-method: parts
      x-contract: v2.md#parts
      parameters:
        - { name: after, in: query, description: The last id of the page before., schema: { $ref: '#/components/schemas/ThingId' } }
        - { name: limit, in: query, x-evidence: inferred, description: How many., schema: { type: integer, minimum: 1, maximum: 100, default: 20 } }
      responses:
        '200':
          description: A page.
          content: { application/json: { schema: { $ref: '#/components/schemas/ThingList' } } }
        '404': { description: '`code` null: no such thing.' }
    put:
      operationId: replaceThing
      tags: [Things]
      summary: Replace a thing
      x-scope: admin
      x-idempotency: replace
      x-streams: true
      x-generation: true
      x-resource: [things]
      x-method: replace
      x-contract: v2.md#replace
      parameters:
        - { name: Agent-Idempotency-Key, in: header, description: A key., schema: { type: string } }
        - { name: dry, in: query, description: Only look., schema: { type: boolean } }
        - { name: since, in: query, description: Only what is newer., schema: { type: string, format: date-time } }
      requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/Replacement' } } } }
      responses:
        '200':
          description: The thing.
          content:
            text/plain: { x-binary: true, schema: { type: string } }
            text/event-stream: { schema: { $ref: '#/components/schemas/Thing' } }
";
    let yaml = yaml.replace("paths:\n", operations);
    assert_snapshot!("operation_table", file(&yaml, OPERATIONS));
    assert_snapshot!("operation_rows", file(&yaml, ROWS));
    assert_snapshot!("operation_client", file(&yaml, CLIENT));
}

#[test]
fn an_endpoint_with_many_setters_has_a_file_of_its_own() {
    let members = |count: usize| -> String {
        let member = |index| format!("\n        m{index}: {{ type: boolean, description: Member {index}. }}");
        let members: String = (0..count).map(member).collect();
        format!("\n    Thing:\n      type: object\n      description: A thing.\n      properties:{members}\n")
    };
    let large = "crates/zumik-client/src/generated/things/create.rs";
    assert!(!generate(&with_schemas(&members(16))).unwrap().contains_key(large));
    let yaml = with_schemas(&members(17));
    assert!(file(&yaml, large).contains("impl Endpoint for CreateThing"));
    assert_snapshot!(file(&yaml, "crates/zumik-client/src/generated/things/mod.rs"));
}

#[test]
fn a_documented_sample_becomes_a_test() {
    let yaml = with_schemas("\n").replace(
        "schema: { $ref: '#/components/schemas/Answer' } } }",
        "schema: { $ref: '#/components/schemas/Answer' }, examples: { one: { summary: One., value: { z: 1, a: '\"#' } } } } }",
    );
    assert_snapshot!(file(&yaml, "crates/zumik-types/src/generated/tests/samples_shared.rs"));
}
