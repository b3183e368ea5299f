//! What a purge receipt says as a whole.

use chrono::{DateTime, Utc};

use crate::PurgeReceipt;

impl PurgeReceipt {
    /// When the last window ends in which a processor that cannot delete, such as the cache of a provider, may still hold
    /// what was purged. `None` when no processor has one.
    ///
    /// It is the date behind [`Guarantee::ExpiryBound`](crate::Guarantee::ExpiryBound). A processor that gives a weaker
    /// guarantee has no such date.
    ///
    /// Source: `v2.md`, "Purge".
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.processors.iter().filter_map(|processor| processor.expires_at).max()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn receipt(windows: &[Value]) -> PurgeReceipt {
        let processors: Vec<_> = windows
            .iter()
            .map(|window| {
                json!({
                    "processor": "p", "action": "await_cache_expiry", "status": "pending_expiry",
                    "guarantee": "expiry_bound", "completed_at": null, "expires_at": window,
                })
            })
            .collect();
        serde_json::from_value(json!({
            "id": "pur_1", "object": "purge_receipt", "requested_at": "2026-06-15T16:21:50Z",
            "completed_at": "2026-06-15T16:21:51Z", "scope": { "project_id": "prj_1", "artifact_ids": [] },
            "guarantee": "expiry_bound", "processors": processors, "digest": "",
        }))
        .unwrap()
    }

    #[test]
    fn the_last_window_that_ends_counts() {
        let ends = ["2026-06-16T16:21:51Z", "2026-06-18T00:00:00Z", "2026-06-17T00:00:00Z"];
        let windows: Vec<_> = [Value::Null].into_iter().chain(ends.map(Value::from)).collect();
        assert_eq!(receipt(&windows).expires_at(), ends[1].parse().ok());
        assert_eq!(receipt(&[Value::Null]).expires_at(), None);
        assert_eq!(receipt(&[]).expires_at(), None);
    }
}
