//! Step 7: how much of what was sent could have been reused, from the traces of this very tour.

use zumik_client::types::DiagnosticReport;

use crate::failure::Failure;
use crate::quickstart::Tour;
use crate::quickstart::report::DiagnosticSummary;
use crate::quickstart::waterfall;
use crate::term::{self, FAINT, STRONG, styled};

pub(crate) async fn diagnose(tour: &mut Tour<'_>) -> Result<DiagnosticSummary, Failure> {
    tour.title("Diagnostic", "zk.diagnostics().create(traces)")?;
    let traces = std::mem::take(&mut tour.traces.collected);
    let asked = traces.len();
    let diagnostic = tour.zk.diagnostics().create(traces).await.map_err(Failure::call)?;
    let report = &diagnostic.report;
    tour.screen.item("traces", format_args!("{asked} of this tour: numbers only, no text"))?;
    for line in waterfall::bars(&report.waterfall, term::width()) {
        tour.screen.line(line)?;
    }
    score(tour, report)?;
    Ok(DiagnosticSummary {
        id: diagnostic.id.to_string(),
        traces: asked,
        workload_reuse_score: report.workload_reuse_score,
        band: report.band.to_string(),
        waterfall: report.waterfall.clone(),
    })
}

fn score(tour: &mut Tour<'_>, report: &DiagnosticReport) -> Result<(), Failure> {
    let score = format!("{} of 100", report.workload_reuse_score);
    tour.screen.item("score", format_args!("{}, {}", styled(STRONG, score), report.band))?;
    tour.screen.item("advice", term::printable(&report.recommendation.summary))?;
    if report.waterfall.realized_reused_tokens == 0 {
        let why = "realized is 0 because no provider cache answered; the opportunity is real";
        tour.screen.item("", styled(FAINT, why))?;
    }
    Ok(())
}
