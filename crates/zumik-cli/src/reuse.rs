//! A report on reuse for the terminal: the waterfall as bars (input, eligible, candidate, realized, and the gap that
//! was missed), then the score.

use anstyle::Style;
use zumik_client::types::{DiagnosticReport, ReuseBand, ReuseRecommendation, ReuseWaterfall};
use zumik_insight::UnsignedReport;

use crate::failure::Failure;
use crate::term::{self, BAR, FAINT, GOOD, STRONG, Screen, WARN, styled};

/// What is shown of a report, signed or not.
pub(crate) struct Reuse<'a> {
    waterfall: &'a ReuseWaterfall,
    score: u64,
    band: &'a ReuseBand,
    recommendation: &'a ReuseRecommendation,
}

impl<'a> Reuse<'a> {
    pub(crate) fn of(report: &'a DiagnosticReport) -> Self {
        Self {
            waterfall: &report.waterfall,
            score: report.workload_reuse_score,
            band: &report.band,
            recommendation: &report.recommendation,
        }
    }

    pub(crate) fn of_unsigned(report: &'a UnsignedReport) -> Self {
        Self {
            waterfall: &report.waterfall,
            score: report.workload_reuse_score,
            band: &report.band,
            recommendation: &report.recommendation,
        }
    }

    pub(crate) fn show(&self, screen: &mut Screen) -> Result<(), Failure> {
        for line in bars(self.waterfall, term::width()) {
            screen.line(line)?;
        }
        let score = styled(STRONG, format_args!("{} of 100", self.score)).to_string();
        screen.item("score", format_args!("{score}, {}", term::printable(self.band.as_str())))?;
        screen.item("advice", term::printable(&self.recommendation.summary))
    }
}

/// Columns that the words and numbers beside a bar take.
const BESIDE: usize = 36;

/// The lines of a waterfall for a terminal of `width` columns.
fn bars(flow: &ReuseWaterfall, width: usize) -> Vec<String> {
    let columns = width.saturating_sub(BESIDE).clamp(10, 60);
    let whole = flow.input_tokens;
    let draw = |tokens| term::bar(tokens, whole, columns);

    // What was missed is drawn behind what was realized: together they are the candidates.
    let realized = draw(flow.realized_reused_tokens).chars().count();
    let missed = draw(flow.missed_opportunity_tokens).chars().count().min(columns - realized);
    vec![
        row("input", whole, whole, FAINT, 0, &draw(whole), columns),
        row(
            "eligible",
            flow.eligible_reuse_tokens,
            whole,
            BAR,
            0,
            &draw(flow.eligible_reuse_tokens),
            columns,
        ),
        row(
            "candidate",
            flow.candidate_reuse_tokens,
            whole,
            BAR,
            0,
            &draw(flow.candidate_reuse_tokens),
            columns,
        ),
        row(
            "realized",
            flow.realized_reused_tokens,
            whole,
            GOOD,
            0,
            &draw(flow.realized_reused_tokens),
            columns,
        ),
        row("missed", flow.missed_opportunity_tokens, whole, WARN, realized, &"░".repeat(missed), columns),
    ]
}

fn row(
    name: &str,
    tokens: u64,
    whole: u64,
    style: Style,
    indent: usize,
    bar: &str,
    columns: usize,
) -> String {
    let share = if whole == 0 { 0.0 } else { 100.0 * tokens as f64 / whole as f64 };
    let padding = columns.saturating_sub(indent + bar.chars().count());
    format!(
        "   {} {:indent$}{}{:padding$} {:>11} {share:>4.0} %",
        styled(FAINT, format_args!("{name:<10}")),
        "",
        styled(style, bar),
        "",
        term::count(tokens),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(input: u64, candidate: u64, realized: u64) -> ReuseWaterfall {
        serde_json::from_value(serde_json::json!({
            "input_tokens": input,
            "eligible_reuse_tokens": input,
            "candidate_reuse_tokens": candidate,
            "realized_reused_tokens": realized,
            "missed_opportunity_tokens": candidate - realized,
        }))
        .unwrap()
    }

    fn plain(lines: Vec<String>) -> Vec<String> {
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn missed_begins_where_realized_ends() {
        let lines = plain(bars(&flow(1_000, 800, 500), 46));
        assert_eq!(lines[0], "   input      ██████████       1,000  100 %");
        assert_eq!(lines[2], "   candidate  ████████           800   80 %");
        assert_eq!(lines[3], "   realized   █████              500   50 %");
        assert_eq!(lines[4], "   missed          ░░░           300   30 %");
    }

    #[test]
    fn every_line_has_the_same_width_whatever_the_numbers() {
        for (input, candidate, realized) in
            [(0, 0, 0), (1, 1, 1), (56_630, 54_250, 31_080), (u64::MAX, u64::MAX, 1)]
        {
            for width in [0, 80, 500] {
                let lines = plain(bars(&flow(input, candidate, realized), width));
                let widths: Vec<_> = lines.iter().map(|line| line.chars().count()).collect();
                if input < 1_000_000_000 {
                    assert!(widths.iter().all(|w| *w == widths[0]), "{lines:#?}");
                }
            }
        }
    }
}
