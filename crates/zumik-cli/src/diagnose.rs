//! `zumik diagnose`: the reuse in captured traces, scored here, or by a server that signs the report.

use zumik_client::Zumik;
use zumik_client::types::{DiagnosticTrace, ReuseComponents};

use crate::args::DiagnoseArgs;
use crate::client;
use crate::failure::Failure;
use crate::input;
use crate::logging::{self, Log};
use crate::reuse::Reuse;
use crate::term::{self, FAINT, Screen, styled};

pub(crate) async fn run(args: DiagnoseArgs, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    let name = input::name(&args.file);
    let text = input::read(&args.file)
        .map_err(|error| Failure::failed(format_args!("cannot read {name}: {error}")))?;
    let traces = traces(&name, &text)?;
    let mut screen = Screen::new(args.json);
    match args.api_key {
        Some(key) => {
            let builder = Zumik::builder().api_key(key);
            let builder = match args.base_url {
                Some(url) => builder.base_url(url),
                None => builder,
            };
            let zk = client::built(builder)?;
            let diagnostic = zk.diagnostics().create(traces).await.map_err(Failure::call)?;
            if args.json {
                return term::print_json(&diagnostic);
            }
            let report = &diagnostic.report;
            Reuse::of(report).show(&mut screen)?;
            components(&mut screen, &report.components)?;
            screen.item("signed", format_args!("{}  {}", diagnostic.id, report.digest))
        }
        None => {
            let report = zumik_insight::diagnose(&traces)
                .map_err(|error| Failure::failed(format_args!("{name} cannot be scored: {error}")))?;
            if args.json {
                return term::print_json(&report);
            }
            Reuse::of_unsigned(&report).show(&mut screen)?;
            components(&mut screen, &report.components)
        }
    }
}

/// Reads one trace a line; empty lines are passed over.
fn traces(name: &str, text: &str) -> Result<Vec<DiagnosticTrace>, Failure> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| {
                Failure::failed(format_args!("{name}, line {}: {}", at + 1, unreadable(&error)))
            })
        })
        .collect()
}

/// Why a line cannot be read. To the reader of JSON every line is the first.
fn unreadable(error: &serde_json::Error) -> String {
    let (text, column) = (error.to_string(), error.column());
    let place = format!(" at line {} column {column}", error.line());
    match text.strip_suffix(&place) {
        Some(what) => format!("{what} (column {column})"),
        None => text,
    }
}

/// What the score is made of: each component from 0 to 1, and its weight.
fn components(screen: &mut Screen, parts: &ReuseComponents) -> Result<(), Failure> {
    let parts = [
        ("opportunity ratio", parts.opportunity_ratio, 35),
        ("recurrence", parts.recurrence_score, 20),
        ("retention locality", parts.retention_locality, 15),
        ("TTFT sensitivity", parts.ttft_sensitivity, 15),
        ("session continuity", parts.session_continuity, 10),
        ("payload redundancy", parts.payload_redundancy, 5),
    ];
    parts.iter().try_for_each(|(name, value, weight)| {
        let name = styled(FAINT, format_args!("{name:<19}")).to_string();
        screen.line(format_args!("              {name} {value:.4}  of {weight} %"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_is_named_by_its_number() {
        let good = serde_json::json!({
            "trace_id": "t1",
            "privacy_mode": "metadata",
            "observed": {
                "resolved_target": "openai/gpt-4o", "ttft_ms": 1, "latency_ms": 2, "input_tokens": 3,
                "candidate_reuse_tokens": 0, "realized_reused_tokens": 0, "output_tokens": 1,
            },
        });
        assert_eq!(traces("file", &format!("{good}\n\n{good}\n")).unwrap().len(), 2);
        let error = traces("file", &format!("{good}\n\n{{\"trace_id\": 7}}\n")).unwrap_err().to_string();
        assert!(error.starts_with("file, line 3: ") && error.ends_with("(column 14)"), "{error}");
    }
}
