//! Step 7: how much of what was sent could have been reused, from the traces of this very tour.

use crate::failure::Failure;
use crate::quickstart::Tour;
use crate::quickstart::report::DiagnosticSummary;
use crate::reuse::Reuse;
use crate::term::{FAINT, styled};

pub(crate) async fn diagnose(tour: &mut Tour<'_>) -> Result<DiagnosticSummary, Failure> {
    tour.title("Diagnostic", "zk.diagnostics().create(traces)")?;
    let traces = std::mem::take(&mut tour.traces.collected);
    let asked = traces.len();
    let diagnostic = tour.zk.diagnostics().create(traces).await.map_err(Failure::call)?;
    let report = &diagnostic.report;
    tour.screen.item("traces", format_args!("{asked} of this tour: numbers only, no text"))?;
    Reuse::of(report).show(tour.screen)?;
    if report.waterfall.realized_reused_tokens == 0 {
        let why = "realized is 0: no provider reported a cache hit, and no number is made up";
        tour.screen.item("", styled(FAINT, why))?;
    }
    Ok(DiagnosticSummary {
        id: diagnostic.id.to_string(),
        traces: asked,
        workload_reuse_score: report.workload_reuse_score,
        band: report.band.to_string(),
        waterfall: report.waterfall.clone(),
    })
}
