//! Documentation of a method: what the operation does, what it needs, what it can answer.

use crate::codegen::docs::{self, Doc};
use crate::codegen::ir::{Api, ErrorAnswer, Operation};

/// The errors that every operation with a key can answer: status and description. Generations are left out here: they
/// have more to say about the same statuses.
pub(super) struct CommonErrors(Vec<(String, String)>);

pub(super) fn common_errors(api: &Api) -> CommonErrors {
    let mut keyed =
        api.operations.iter().filter(|operation| operation.scope != "none" && !operation.generation);
    let pair = |error: &ErrorAnswer| (error.status.clone(), error.description.clone());
    let mut common: Vec<_> =
        keyed.next().map(|first| first.errors.iter().map(pair).collect()).unwrap_or_default();
    for operation in keyed {
        let own: Vec<_> = operation.errors.iter().map(pair).collect();
        common.retain(|error| own.contains(error));
    }
    CommonErrors(common)
}

impl CommonErrors {
    fn contains(&self, error: &ErrorAnswer) -> bool {
        self.0
            .iter()
            .any(|(status, description)| *status == error.status && *description == error.description)
    }
}

/// `401, 413 and 500`
fn enumerate(statuses: &[&str]) -> String {
    match statuses.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => statuses.concat(),
    }
}

/// The documentation of the method that makes the call.
pub(super) fn method(operation: &Operation, common: &CommonErrors) -> Doc {
    let mut doc = Doc::line(format!("{}.", docs::inline(&operation.summary)));
    if let Some(description) = &operation.description {
        doc = doc.then(Doc::description(description));
    }
    doc.and(facts(operation)).then(errors(operation, common))
}

/// `POST /v2/artifacts`, scope, source.
fn facts(operation: &Operation) -> String {
    let scope = match operation.scope.as_str() {
        "none" => "without a key".to_owned(),
        scope => format!("scope `{scope}`"),
    };
    let evidence = if operation.inferred {
        " Inferred: the service documents the capability, not the path."
    } else {
        ""
    };
    let Operation { method, path, contract, .. } = operation;
    format!("`{method} {path}`, {scope}. Source: `{contract}`.{evidence}")
}

fn errors(operation: &Operation, common: &CommonErrors) -> Doc {
    let (shared, own): (Vec<_>, Vec<_>) = operation.errors.iter().partition(|error| common.contains(error));
    let mut items: Vec<_> = own.iter().map(|error| item(&error.status, &error.description)).collect();
    let shared: Vec<_> = shared.iter().map(|error| error.status.as_str()).collect();
    if !shared.is_empty() {
        items.push(format!("{}: as for [every operation](crate#errors).", enumerate(&shared)));
    }
    if items.is_empty() {
        return Doc::default();
    }
    Doc::line("# Errors").list(items)
}

/// One status. A description that is a list becomes one sentence after the other.
fn item(status: &str, description: &str) -> String {
    let sentences: Vec<_> = description.split("\n- ").map(|part| part.trim_start_matches("- ")).collect();
    format!("{status}: {}", docs::inline(&sentences.join(" ")))
}
