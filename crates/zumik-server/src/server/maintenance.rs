//! What a server does by itself: removing what is past its time.

use std::sync::Arc;
use std::time::Duration;

use chrono::Days;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Time from one sweep to the next. What has expired is not given out in between: reads check the time themselves.
const PAUSE: Duration = Duration::from_secs(60);

/// Sweeps until `closing` is cancelled.
pub(super) async fn run(app: Arc<App>, usage_days: u32, closing: CancellationToken) {
    while closing.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some() {
        sweep(&app).await;
        let before = app.clock.now().checked_sub_days(Days::new(usage_days.into()));
        if let Some(before) = before
            && let Err(error) = app.store.forget_usage(before).await
        {
            tracing::warn!(%error, "old usage events could not be removed; the next sweep will try again");
        }
    }
}

async fn sweep(app: &App) {
    app.limits.sweep();
    match app.store.sweep(app.clock.now()).await {
        Ok(swept) => tracing::debug!(
            artifacts = swept.artifacts,
            files = swept.files,
            responses = swept.responses,
            batches = swept.batches,
            answers = swept.answers,
            "swept"
        ),
        Err(error) => tracing::warn!(%error, "a sweep failed; the next one will try again"),
    }
}
