"""The official examples (concepts.md, "Example flows") over raw HTTP, as their authors wrote them."""

from __future__ import annotations

import httpx

from conftest import Json
from receipts import verify_receipt


def post(http: httpx.Client, path: str, body: Json) -> Json:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


class Cursor:
    """Session, branch, version and head, moved as the agent-runtime example moves them."""

    def __init__(self, http: httpx.Client, session: Json):
        self.http = http
        self.path = f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}"
        self.version = 0
        self.head: str | None = None

    def append(self, event_type: str, payload_ref: str | None = None) -> Json:
        event = {"event_type": event_type} | ({} if payload_ref is None else {"payload_ref": payload_ref})
        body = {"expected_version": self.version, "expected_head_event_id": self.head, "event": event}
        appended = post(self.http, f"{self.path}/events", body)
        self.version, self.head = appended["sequence"], appended["id"]
        return appended


def test_coding_agent_binds_a_turn_to_its_session(http: httpx.Client) -> None:
    policy = post(http, "/v2/artifacts", {"artifact_type": "policy", "content": "Run the linter before every commit."})
    tools = post(
        http,
        "/v2/artifacts",
        {
            "artifact_type": "tool_bundle_source",
            "content_media_type": "application/json",
            "content": '[{"name":"run"}]',
        },
    )
    items = [{"artifact_id": policy["id"], "role": "developer"}, {"artifact_id": tools["id"], "role": "tools"}]
    bundle = post(http, "/v2/bundles", {"bundle_type": "agent_prefix", "items": items})
    session = post(http, "/v2/sessions", {"base_bundle_ids": [bundle["id"]]})

    turn = {"model": "code.fast", "input": "Why did CI fail?"}
    alone = http.post("/v1/responses", json=turn)
    bound = http.post("/v1/responses", json=turn, headers={"Agent-Session-Ref": session["id"]})
    assert (alone.status_code, bound.status_code) == (200, 200)
    assert bound.json()["usage"]["input_tokens"] > alone.json()["usage"]["input_tokens"], (
        "the prefix is part of the prompt"
    )
    branch = http.get(f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}").json()
    assert branch["version"] == 0, "a generation appends nothing"


def test_agent_runtime_holds_turns_as_causal_history(http: httpx.Client) -> None:
    session = post(http, "/v2/sessions", {})
    cursor = Cursor(http, session)
    branch = {"session_id": session["id"], "branch_id": session["default_branch_id"]}
    tokens = []
    for question in ("Why did CI fail?", "And how do I mend it?"):
        asked = post(http, "/v2/artifacts", {"artifact_type": "text_context", "content": question})
        cursor.append("user_message", asked["id"])
        qos = {
            "class": "interactive",
            "target_ttft_ms": 500,
            "deadline_ms": 8000,
            "degrade_policy": "allow_compatible_fallback",
        }
        answer = post(http, "/v2/responses", {"model": "code.fast", "input": question, "qos": qos, **branch})
        outcome = answer["qos_outcome"]
        assert (outcome["admission"], outcome["completion"], outcome["deadline_met"]) == ("admitted", "completed", True)
        tokens.append(answer["usage"]["input_tokens"])
        said = post(http, "/v2/artifacts", {"artifact_type": "text_context", "content": answer["output_text"]})
        cursor.append("assistant_message", said["id"])
    assert tokens[1] > tokens[0], "the second turn contains the first"
    history = http.get(f"{cursor.path}/events").json()["data"]
    assert [event["event_type"] for event in history] == ["user_message", "assistant_message"] * 2
    assert [event["parent_event_id"] for event in history] == [None, *(event["id"] for event in history[:-1])]


def test_retrieval_reuses_its_documents_and_can_prove_one_forgotten(http: httpx.Client) -> None:
    texts = {f"doc-{n}": f"Chapter {n}. " + "The orchard keeps its ledger in the cellar. " * 20 for n in range(3)}
    documents = [
        post(http, "/v2/artifacts", {"artifact_type": "document", "content": text, "metadata": {"source_id": source}})
        for source, text in texts.items()
    ]
    items = [{"artifact_id": document["id"], "role": "context"} for document in documents]
    bundle = post(http, "/v2/bundles", {"bundle_type": "agent_prefix", "items": items})
    session = post(http, "/v2/sessions", {"base_bundle_ids": [bundle["id"]]})
    cursor = Cursor(http, session)
    for question in ("Where is the ledger?", "Which chapter says so?"):
        cursor.append("user_message")
        body = {
            "model": "auto",
            "input": question,
            "session_id": session["id"],
            "branch_id": session["default_branch_id"],
        }
        usage = post(http, "/v2/responses", body)["usage"]
        cursor.append("assistant_message")
        assert 0 <= usage["realized_reused_tokens"] <= usage["candidate_reuse_tokens"] <= usage["input_tokens"]
        assert usage["realized_reused_tokens"] == 0, "no provider answered, so nothing was realized"
        assert usage["reuse_evidence_level"] == "unknown"

    job = post(http, "/v2/purge-jobs", {"artifact_ids": [documents[1]["id"]]})
    receipt = http.get(f"/v2/purge-jobs/{job['id']}/receipt").json()
    verify_receipt(receipt, http.get("/v2/receipt-keys").json())
    assert http.get(f"/v2/artifacts/{documents[1]['id']}").status_code == 404
    assert http.get(f"/v2/artifacts/{documents[0]['id']}").status_code == 200
