//! The samples of the contract.

use serde_json::{Value, json};
use zumik_insight::{LintReport, Prompt, diagnose, lint};
use zumik_types::{DiagnosticReport, DiagnosticTrace};

const TRACES: &str = include_str!("samples/traces.json");
const REPORT: &str = include_str!("samples/report.json");
const PROMPT: &str = include_str!("samples/prompt.json");
const LINT_RESULT: &str = include_str!("samples/lint_result.json");

#[test]
fn the_traces_of_the_contract_give_its_report() {
    let mut request: Value = serde_json::from_str(TRACES).unwrap();
    let traces: Vec<DiagnosticTrace> = serde_json::from_value(request["traces"].take()).unwrap();
    let sample: DiagnosticReport = serde_json::from_str(REPORT).unwrap();

    let report = diagnose(&traces).unwrap();
    assert_eq!(report.clone().into_signed(sample.digest.clone(), sample.signature.clone()), sample);

    let mut unsigned = json!(sample);
    unsigned.as_object_mut().unwrap().retain(|name, _| name != "digest" && name != "signature");
    assert_eq!(json!(report), unsigned);
}

#[test]
fn the_prompt_of_the_contract_gives_its_lint_result() {
    let prompt = Prompt::from_json(&serde_json::from_str(PROMPT).unwrap()).unwrap();
    // The tokens of the sample are those of the hosted service's estimator.
    let report = lint(&prompt, |_| 13);
    assert_eq!(json!(report), serde_json::from_str::<Value>(LINT_RESULT).unwrap());
    assert_eq!(serde_json::from_str::<LintReport>(LINT_RESULT).unwrap(), report);
}
