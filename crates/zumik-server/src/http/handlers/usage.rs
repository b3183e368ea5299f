//! Usage (contract `v2.md`, "Usage").

use zumik_types::{KeyId, UsageDimension};

use crate::http::call::Call;
use crate::http::{ApiError, Reply};
use crate::store::UsageQuery;

/// `GET /v2/usage`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let query = call.query();
    let (start, end) = query.period(call.ctx.now)?;
    let text = |name| query.text(name).map(str::to_owned);
    let usage = UsageQuery {
        start,
        end,
        provider: text("provider"),
        model: text("model"),
        profile: text("profile"),
        region: text("region"),
        // What is no id of a key fits no event.
        key: query.text("key").map(|key| key.parse().unwrap_or_else(|_| KeyId::with_suffix("none"))),
        qos_class: text("qos_class"),
        group_by: query.one_of("group_by", UsageDimension::KNOWN)?,
    };
    // Whoever asks after an answer finds it here.
    call.app.engine.settle().await;
    call.app.usage.flush().await?;
    let report = call.app.store.usage(&call.ctx, usage).await?;
    call.reply(&report)
}
