//! Operations that are refused: their names, parameters, bodies and answers.

use super::changed;

/// A document whose operation has these parameters.
fn parameters(list: &str) -> String {
    changed("      requestBody:", &format!("      parameters: {list}\n      requestBody:"))
}

/// The success of the operation of the document, and the same one with a stream beside it.
const ANSWER: &str = "content: { application/json: { schema: { $ref: '#/components/schemas/Answer'";
const STREAM: &str = "content: { text/event-stream: { schema: {} }, application/json: { schema: { $ref: \
                      '#/components/schemas/Answer'";

pub(super) fn cases() -> Vec<(&'static str, String)> {
    vec![
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
        ("a sub-client is called as what is written by hand", {
            changed("[things]", "[zumik]").replace("{ things:", "{ zumik:")
        }),
        ("an operation is called as a type", changed("operationId: createThing", "operationId: thing")),
        (
            "an operation is called as a sub-client",
            changed("operationId: createThing", "operationId: things"),
        ),
        ("an operation is called as what is written by hand", {
            changed("operationId: createThing", "operationId: call")
        }),
        ("an operation is called as the table of all", {
            changed("operationId: createThing", "operationId: all")
        }),
        (
            "a method is called as a sub-client",
            changed("paths:\n", &format!("paths:\n{}", SECOND.replace("{id}", "createMore")))
                .replacen("x-resource: [things]", "x-resource: [things, create]", 1)
                .replacen("{ things: Things. }", "{ things: Things., things.create: More. }", 1),
        ),
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
        ("a segment of the path is more than a parameter", {
            let parameter =
                "[{ name: id, in: path, required: true, description: Id., schema: { type: string } }]";
            parameters(parameter).replace("/v2/things:", "/v2/things/{id}:run:")
        }),
        ("a parameter is nullable", {
            parameters("[{ name: q, in: query, description: Q., schema: { type: [string, 'null'] } }]")
        }),
        ("a parameter is sensitive", {
            parameters(
                "[{ name: q, in: query, description: Q., schema: { type: string, x-sensitive: true } }]",
            )
        }),
        ("a query parameter is in Unix seconds", {
            parameters(
                "[{ name: q, in: query, description: Q., schema: { type: integer, format: unix-time } }]",
            )
        }),
        ("a query parameter is a list", {
            parameters(
                "[{ name: q, in: query, description: Q., schema: { type: array, items: { type: string } } }]",
            )
        }),
        ("a query parameter is called as the body", {
            parameters("[{ name: body, in: query, description: B., schema: { type: string } }]")
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
        ("a body is referred to", {
            changed(
                "requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/Thing' } } } }",
                "requestBody: { $ref: '#/components/requestBodies/Thing' }",
            )
        }),
        (
            "a body is no object",
            changed("schema: { $ref: '#/components/schemas/Thing' }", "schema: { type: string }"),
        ),
        ("an answer is nullable", {
            changed(ANSWER, "content: { application/json: { schema: { type: [string, 'null']")
        }),
        ("an answer has another status", changed("'200':", "'204':")),
        (
            "the status of an answer is no number",
            changed("responses: {", "responses: { '4.4': { description: No. },"),
        ),
        (
            "a sample is no name in Rust",
            changed("Answer' } }", "Answer' }, examples: { 'größe': { value: {} } } }"),
        ),
        (
            "two samples have one name",
            changed("Answer' } }", "Answer' }, examples: { a-b: { value: {} }, a.b: { value: {} } } }"),
        ),
        ("an answer is no name in Rust", {
            changed("responses/Thing'", "responses/größe'").replace(
                "\n    Thing:\n      description: The thing.",
                "\n    größe:\n      description: The thing.",
            )
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
