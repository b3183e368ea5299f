"""The 14 methods of the documented Python SDK, on its documented samples."""

from __future__ import annotations

import pytest

from conftest import Json
from receipts import verify_receipt, verify_signed
from samples import sample
from zumik_client import ZumikApiError, ZumikClient


def test_one_response_can_be_created_retrieved_and_cancelled_in_a_row(client: ZumikClient) -> None:
    created = client.create_response("code.balanced", "Review the latest patch.")
    assert created["id"].startswith("resp_")
    assert created["object"] == "response"
    assert created["status"] == "completed"
    assert created["model"] == "code.balanced", "the requested name is echoed, not the resolved one"
    message = created["output"][0]
    assert (message["type"], message["role"]) == ("message", "assistant")
    assert message["content"][0]["type"] == "output_text"
    assert message["content"][0]["text"]
    usage = created["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert not [name for name in created if name.startswith("agent") or name == "qos_outcome"], "no Zumik member on /v1"

    assert client.retrieve_response(created["id"]) == created
    assert client.cancel_response(created["id"]) == created, "a response that has ended is returned unchanged"
    assert client.retrieve_response(created["id"]) == created


def test_a_response_takes_input_items(client: ZumikClient) -> None:
    items = [{"role": "user", "content": [{"type": "input_text", "text": "Review the latest patch."}]}]
    created = client.create_response("code.balanced", items)
    assert created["status"] == "completed"


def test_create_artifact_answers_its_metadata_and_never_its_content(client: ZumikClient) -> None:
    content = "Always run the linter before committing."
    artifact = client.create_artifact(
        "policy", content, retention_class="standard", metadata={"source": "tools.json", "n": [1, 2.5, None]}
    )
    assert artifact["id"].startswith("art_")
    assert artifact["project_id"].startswith("prj_")
    assert artifact["created_at"].endswith("Z")
    expected = {
        "object": "artifact",
        "artifact_type": "policy",
        "content_media_type": "text/plain",
        "retention_class": "standard",
        "metadata": {"source": "tools.json", "n": [1, 2.5, None]},
    }
    assert {name: artifact[name] for name in expected} == expected
    assert set(artifact) == {"id", "project_id", "created_at", *expected}

    again = client.create_artifact("policy", content)
    assert again["id"] != artifact["id"], "equal bytes get an unrelated id"
    assert again["metadata"] == {}


def test_create_artifact_refuses_empty_content_with_a_code_member(client: ZumikClient) -> None:
    with pytest.raises(ZumikApiError) as caught:
        client.create_artifact("policy", "")
    assert caught.value.status_code == 400
    error = caught.value.payload["error"]
    assert error["code"] is None, "the member is there, also without a value"
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "content"
    assert error["message"]


def test_create_bundle_keeps_items_and_their_order(client: ZumikClient, policy: Json) -> None:
    tools = client.create_artifact("tool_bundle_source", "[]", content_media_type="application/json")
    items = [
        {"artifact_id": tools["id"], "role": "tools"},
        {"artifact_id": policy["id"], "role": "system"},
        {"artifact_id": tools["id"], "role": "my own role"},
    ]
    bundle = client.create_bundle(items)
    assert bundle["id"].startswith(("bnd_", "bun_"))
    assert bundle["object"] == "bundle"
    assert bundle["bundle_type"] == "agent_prefix"
    assert bundle["items"] == items
    assert client.create_bundle(items, bundle_type="docs")["bundle_type"] == "docs"


def test_create_session_starts_with_an_empty_root_branch(client: ZumikClient, policy: Json) -> None:
    bundle = client.create_bundle([{"artifact_id": policy["id"], "role": "system"}])
    session = client.create_session([bundle["id"]])
    assert session["id"].startswith("ses_")
    assert session["default_branch_id"].startswith("br_")
    assert session["status"] == "active"
    assert session["base_bundle_ids"] == [bundle["id"]]
    assert client.create_session()["base_bundle_ids"] == []


def test_a_fork_of_the_fresh_default_branch_takes_an_append_and_a_snapshot(
    client: ZumikClient, policy: Json, session: Json
) -> None:
    fork = client.create_branch(session["id"], session["default_branch_id"])
    assert fork["id"].startswith("br_")
    assert fork["object"] == "session_branch"
    assert fork["parent_branch_id"] == session["default_branch_id"]
    assert (fork["version"], fork["head_event_id"], fork["forked_from_event_id"]) == (0, None, None)

    event = client.append_event(
        session["id"],
        fork["id"],
        expected_version=fork["version"],
        expected_head_event_id=fork["head_event_id"],
        event_type="user_message",
        payload_ref=policy["id"],
    )
    assert event["id"].startswith("evt_")
    assert event["sequence"] == 1
    assert event["parent_event_id"] is None
    assert event["branch_id"] == fork["id"]
    assert event["payload_ref"] == policy["id"]

    manifest = [policy["id"], event["id"], "blk_history"]
    snapshot = client.create_snapshot(session["id"], fork["id"], manifest)
    assert snapshot["id"].startswith("snp_")
    assert snapshot["branch_version"] == 1
    assert snapshot["prompt_compiler_revision"] == "pc_1"
    assert snapshot["ordered_block_manifest"] == manifest


def test_a_fork_at_an_event_starts_at_its_sequence(client: ZumikClient, session: Json) -> None:
    root = session["default_branch_id"]
    head = None
    events = []
    for version in range(3):
        event = client.append_event(
            session["id"], root, expected_version=version, expected_head_event_id=head, event_type="note"
        )
        head = event["id"]
        events.append(event)
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert [event["parent_event_id"] for event in events] == [None, events[0]["id"], events[1]["id"]]

    fork = client.create_branch(session["id"], root, events[1]["id"])
    assert (fork["version"], fork["head_event_id"]) == (2, events[1]["id"])
    event = client.append_event(
        session["id"],
        fork["id"],
        expected_version=fork["version"],
        expected_head_event_id=fork["head_event_id"],
        event_type="assistant_message",
    )
    assert (event["sequence"], event["parent_event_id"]) == (3, events[1]["id"])


def test_a_stale_append_is_a_conflict_with_the_present_state(client: ZumikClient, session: Json) -> None:
    branch = session["default_branch_id"]
    first = client.append_event(session["id"], branch, expected_version=0, event_type="user_message")
    with pytest.raises(ZumikApiError) as caught:
        client.append_event(session["id"], branch, expected_version=0, event_type="user_message")
    assert caught.value.status_code == 409
    error = caught.value.payload["error"]
    assert error["code"] == "branch_version_conflict"
    assert error["param"] == "expected_version"
    assert error["branch"] == {"id": branch, "version": 1, "head_event_id": first["id"]}

    # The loser decides anew with that state, and wins.
    event = client.append_event(
        session["id"],
        branch,
        expected_version=error["branch"]["version"],
        expected_head_event_id=error["branch"]["head_event_id"],
        event_type="user_message",
    )
    assert event["sequence"] == 2


def test_create_native_response_runs_over_the_session(client: ZumikClient, session: Json) -> None:
    answer = client.create_native_response("code.fast", "Summarize the failing test.", session["id"])
    assert answer["id"].startswith("rsp_")
    assert answer["status"] == "completed"
    assert answer["output_text"]
    assert answer["session_id"] == session["id"]
    assert answer["branch_id"] == session["default_branch_id"], "the default branch is taken"
    usage = answer["usage"]
    assert usage["missed_opportunity_tokens"] == usage["candidate_reuse_tokens"] - usage["realized_reused_tokens"]
    outcome = answer["qos_outcome"]
    assert (outcome["admission"], outcome["completion"]) == ("admitted", "completed")
    assert (outcome["target_met"], outcome["deadline_met"]) == (None, None), "nothing was asked for"

    bare = client.create_native_response("code.fast", "Summarize the failing test.")
    assert (bare["session_id"], bare["branch_id"]) == (None, None)


def test_run_diagnostic_scores_the_documented_traces_as_documented(client: ZumikClient) -> None:
    diagnostic = client.run_diagnostic(sample("diagnostic_request")["traces"])
    assert diagnostic["id"].startswith("dgn_")
    report = diagnostic["report"]
    expected = sample("diagnostic_report")
    for member in ("trace_count", "workload_reuse_score", "band", "components", "waterfall", "evidence_level"):
        assert report[member] == expected[member], member
    assert report["recommendation"]["action"] == expected["recommendation"]["action"]
    verify_signed(report, client._call("GET", "/v2/receipt-keys"))


def test_purge_ends_the_handle_and_gives_a_receipt_that_verifies(client: ZumikClient) -> None:
    artifact = client.create_artifact("document", "To be forgotten.")
    job = client.create_purge_job([artifact["id"]])
    assert job["id"].startswith("pjb_")
    assert job["status"] == "completed"
    assert job["scope"] == {"project_id": artifact["project_id"], "artifact_ids": [artifact["id"]]}

    receipt = client.purge_receipt(job["id"])
    assert receipt["id"].startswith("pur_")
    assert receipt["purge_job_id"] == job["id"]
    assert receipt["scope"] == job["scope"]
    verify_receipt(receipt, client._call("GET", "/v2/receipt-keys"))

    with pytest.raises(ZumikApiError) as caught:
        client._call("GET", f"/v2/artifacts/{artifact['id']}")
    assert caught.value.status_code == 404
    with pytest.raises(ZumikApiError) as caught:
        client.create_bundle([{"artifact_id": artifact["id"], "role": "system"}])
    assert (caught.value.status_code, caught.value.payload["error"]["param"]) == (400, "items[0].artifact_id")


def test_each_purge_raises_the_namespace_generation(client: ZumikClient) -> None:
    generations = []
    for _ in range(2):
        artifact = client.create_artifact("document", "To be forgotten.")
        job = client.create_purge_job([artifact["id"]])
        generations.append(client.purge_receipt(job["id"])["namespace_generation"])
    assert generations[1] == generations[0] + 1


def test_token_count_estimates_a_string(client: ZumikClient) -> None:
    count = client.token_count("Summarize the diff in three bullets.")
    assert count["object"] == "token_count"
    # The hosted service says 10; the contract has us count o200k_base tokens.
    assert 5 <= count["input_tokens"] <= 12
