//! Every way in which a document can be refused: the place, the problem and a way out.

mod operations;
mod schemas;

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

#[test]
fn a_refusal_names_the_place_the_problem_and_a_way_out() {
    let mut report = String::new();
    for (title, yaml) in schemas::cases().into_iter().chain(operations::cases()) {
        match generate(&yaml) {
            Err(error) => writeln!(report, "{title}\n  {error}\n").unwrap(),
            Ok(_) => panic!("accepted although {title}:\n{yaml}"),
        }
    }
    assert_snapshot!(report);
}
