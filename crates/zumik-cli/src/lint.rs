//! `zumik lint`: does the layout of a prompt let providers cache it?

use serde_json::Value;
use zumik_insight::{LintReport, MINIMUM_PREFIX_TOKENS, Prompt, Severity, lint};

use crate::args::LintArgs;
use crate::failure::Failure;
use crate::input;
use crate::logging::{self, Log};
use crate::term::{self, BAD, FAINT, GOOD, STRONG, Screen, WARN, styled};

pub(crate) fn run(args: &LintArgs, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    let name = input::name(&args.file);
    let unusable = |error: &dyn std::fmt::Display| Failure::usage(format_args!("{name}: {error}"));
    let text = input::read(&args.file).map_err(|error| unusable(&error))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unusable(&error))?;
    let prompt = Prompt::from_json(&value).map_err(|error| unusable(&error))?;
    let report = lint(&prompt, |text| bpe_openai::o200k_base().count(text) as u64);
    if args.json {
        term::print_json(&report)?;
    } else {
        show(&mut Screen::new(false), &name, &report)?;
    }
    match report.worst() {
        None | Some(Severity::Low) => Ok(()),
        Some(Severity::Medium | Severity::High) => Err(Failure::Findings),
    }
}

fn show(screen: &mut Screen, name: &str, report: &LintReport) -> Result<(), Failure> {
    for finding in &report.findings {
        let (style, severity) = match finding.severity {
            Severity::High => (BAD, "high"),
            Severity::Medium => (WARN, "medium"),
            Severity::Low => (FAINT, "low"),
        };
        let place =
            finding.block_index.map_or_else(|| "the prompt".to_owned(), |index| format!("block {index}"));
        screen.line(format_args!(
            "{} {place}: {} {}",
            styled(style, format_args!("{severity:<6}")),
            styled(STRONG, finding.rule.as_str()),
            term::printable(&finding.detail),
        ))?;
    }
    let style = if report.findings.is_empty() { GOOD } else { STRONG };
    let prefix = term::count(report.stable_prefix_tokens);
    let score = styled(style, format_args!("{} of 100", report.score)).to_string();
    screen.line(format_args!(
        "{name}: {score}, stable prefix of {prefix} tokens (providers cache from about {MINIMUM_PREFIX_TOKENS})"
    ))
}
