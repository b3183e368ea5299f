//! `GET /v2/usage`: its parameters.

use serde_json::json;

use crate::host::Host;

#[tokio::test]
async fn a_selection_is_checked_parameter_by_parameter() {
    let host = Host::start().await;
    for (query, param) in [
        ("window=forever", "window"),
        ("start=now", "start"),
        ("start=2026-06-15T00:00:00Z&end=2026-06-14T00:00:00Z", "start"),
        ("end=1", "end"),
        ("group_by=colour", "group_by"),
    ] {
        host.get(&format!("/v2/usage?{query}")).await.refused(400, "", param);
    }
    for query in ["", "?window=2w", "?key=none", "?key=key_%00", "?provider=%ff&model=&region=%F0%9F%A6%80"] {
        let report = host.get(&format!("/v2/usage{query}")).await.json();
        assert_eq!((&report["object"], &report["has_more"]), (&json!("list"), &json!(false)));
        assert_eq!((&report["data"], &report["groups"]), (&json!([]), &json!([])));
        assert_eq!(
            (&report["summary"]["requests"], &report["summary"]["ttft_ms_p50"]),
            (&json!(0), &json!(null))
        );
    }
}
