"""A purge on a server that sends prompts to a provider, whose cache nobody can clear."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import pytest

from receipts import verify_receipt


def time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.upstream
def test_the_receipt_names_the_provider_and_the_end_of_its_window(http: httpx.Client) -> None:
    content = {"artifact_type": "document", "content": "The build runs on Tuesdays."}
    document = http.post("/v2/artifacts", json=content).json()
    items = [{"artifact_id": document["id"], "role": "context"}]
    bundle = http.post("/v2/bundles", json={"items": items}).json()
    session = http.post("/v2/sessions", json={"base_bundle_ids": [bundle["id"]]}).json()
    question = {"model": "code.fast", "input": "When?", "session_id": session["id"]}
    answer = http.post("/v2/responses", json=question)
    assert (answer.status_code, answer.headers["agent-execution-mode"]) == (200, "live"), answer.text

    job = http.post("/v2/purge-jobs", json={"artifact_ids": [document["id"]]}).json()
    receipt = http.get(f"/v2/purge-jobs/{job['id']}/receipt").json()
    verify_receipt(receipt, http.get("/v2/receipt-keys").json())
    assert receipt["guarantee"] == "expiry_bound"
    cache = receipt["processors"][-1]
    assert cache["processor"] == answer.headers["agent-resolved-provider"]
    assert (cache["action"], cache["status"], cache["guarantee"], cache["completed_at"]) == (
        "await_cache_expiry",
        "pending_expiry",
        "expiry_bound",
        None,
    )
    assert time(cache["expires_at"]) - time(receipt["completed_at"]) >= timedelta(days=1)
