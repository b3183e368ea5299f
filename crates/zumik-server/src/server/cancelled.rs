//! What a server does by itself: giving up responses that another server of the same store was told to cancel.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Time from one look to the next: so long a provider may go on with what nobody wants any more.
const PAUSE: Duration = Duration::from_secs(2);

/// Looks after the responses that are being worked on until `closing` is cancelled.
pub(super) async fn run(app: Arc<App>, closing: CancellationToken) {
    while closing.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_some() {
        let ids = app.background.ids();
        if ids.is_empty() {
            continue;
        }
        match app.store.ended_v1_responses(ids).await {
            Ok(ended) => ended.iter().for_each(|id| app.background.cancel(id)),
            Err(error) => tracing::warn!(%error, "responses that were cancelled elsewhere are not known"),
        }
    }
}
