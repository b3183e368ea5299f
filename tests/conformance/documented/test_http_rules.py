"""Rules that hold for every operation: idempotency, files, sessions, evidence headers."""

from __future__ import annotations

import uuid

import httpx
import pytest

from conftest import Json
from test_bad_input import error_of
from zumik_client import ZumikClient

ARTIFACT = {"artifact_type": "policy", "content": "Always run the linter before committing."}


def test_the_same_key_answers_the_same_bytes_and_runs_once(http: httpx.Client) -> None:
    headers = {"Agent-Idempotency-Key": str(uuid.uuid4())}
    before = len(http.get("/v2/artifacts").json()["data"])
    first = http.post("/v2/artifacts", json=ARTIFACT, headers=headers)
    again = http.post("/v2/artifacts", json=ARTIFACT, headers=headers)
    assert (first.status_code, first.headers["agent-idempotent-replay"]) == (200, "false")
    assert (again.status_code, again.headers["agent-idempotent-replay"]) == (200, "true")
    assert again.content == first.content
    assert again.headers["agent-trace-id"] == first.headers["agent-trace-id"], "a replay shows the original trace"
    assert len(http.get("/v2/artifacts").json()["data"]) == before + 1
    assert "agent-idempotent-replay" not in http.post("/v2/artifacts", json=ARTIFACT).headers


def test_a_key_with_another_body_is_refused(http: httpx.Client) -> None:
    headers = {"Agent-Idempotency-Key": str(uuid.uuid4())}
    assert http.post("/v2/artifacts", json=ARTIFACT, headers=headers).status_code == 200
    answer = http.post("/v2/artifacts", json={**ARTIFACT, "content": "Something else."}, headers=headers)
    error = error_of(answer, 422, "idempotency_key_reused")
    assert error["type"] == "idempotency_conflict"


def test_a_key_on_another_path_is_another_key(http: httpx.Client) -> None:
    headers = {"Agent-Idempotency-Key": str(uuid.uuid4())}
    assert http.post("/v2/sessions", json={}, headers=headers).status_code == 200
    assert http.post("/v2/artifacts", json=ARTIFACT, headers=headers).status_code == 200


def test_a_refused_request_frees_its_key(http: httpx.Client) -> None:
    headers = {"Agent-Idempotency-Key": str(uuid.uuid4())}
    refused = http.post("/v2/artifacts", json={**ARTIFACT, "content": ""}, headers=headers)
    assert refused.status_code == 400
    taken = http.post("/v2/artifacts", json=ARTIFACT, headers=headers)
    assert (taken.status_code, taken.headers["agent-idempotent-replay"]) == (200, "false")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "caf\u00e9"])
def test_a_malformed_key_is_refused(http: httpx.Client, key: str) -> None:
    headers = [(b"Agent-Idempotency-Key", key.encode())]
    error_of(http.post("/v2/artifacts", json=ARTIFACT, headers=headers), 400, None, "Agent-Idempotency-Key")


def test_a_repeated_append_is_replayed_before_its_guards_are_checked(http: httpx.Client, session: Json) -> None:
    path = f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}/events"
    body = {"expected_version": 0, "expected_head_event_id": None, "event": {"event_type": "note"}}
    headers = {"Agent-Idempotency-Key": str(uuid.uuid4())}
    first = http.post(path, json=body, headers=headers)
    again = http.post(path, json=body, headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert len(http.get(path).json()["data"]) == 1


def test_an_uploaded_file_comes_back_byte_for_byte(http: httpx.Client) -> None:
    content = b'{"custom_id":"r1"}\r\n\x00\xff--zumik\r\n'
    file = http.post(
        "/v1/files", files={"file": ("requests.jsonl", content, "application/jsonl")}, data={"purpose": "batch"}
    ).json()
    assert file["id"].startswith("file-")
    assert (file["object"], file["bytes"], file["filename"], file["purpose"]) == (
        "file",
        len(content),
        "requests.jsonl",
        "batch",
    )
    assert "expires_at" not in file
    assert http.get(f"/v1/files/{file['id']}").json() == file
    stored = http.get(f"/v1/files/{file['id']}/content")
    assert (stored.content, stored.headers["content-type"].split(";")[0]) == (content, "text/plain")
    assert file in http.get("/v1/files?purpose=batch").json()["data"]

    deleted = http.delete(f"/v1/files/{file['id']}")
    assert deleted.json() == {"id": file["id"], "object": "file", "deleted": True}
    for path in (f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/content"):
        error_of(http.get(path), 404)


def test_a_file_list_pages_only_when_asked(http: httpx.Client) -> None:
    purpose = f"p{uuid.uuid4().hex}"
    ids = [
        http.post("/v1/files", files={"file": (f"{n}", b"x")}, data={"purpose": purpose}).json()["id"] for n in range(3)
    ]
    whole = http.get(f"/v1/files?purpose={purpose}&order=asc").json()
    assert ([file["id"] for file in whole["data"]], whole["has_more"]) == (ids, False)
    page = http.get(f"/v1/files?purpose={purpose}&order=asc&limit=2").json()
    assert ([file["id"] for file in page["data"]], page["has_more"], page["last_id"]) == (ids[:2], True, ids[1])
    rest = http.get(f"/v1/files?purpose={purpose}&order=asc&limit=2&after={ids[1]}").json()
    assert ([file["id"] for file in rest["data"]], rest["has_more"]) == (ids[2:], False)


def test_the_history_of_a_fork_holds_what_it_inherited(http: httpx.Client, client: ZumikClient, session: Json) -> None:
    root = session["default_branch_id"]
    head = None
    for version in range(4):
        guards = {"expected_version": version, "expected_head_event_id": head}
        head = client.append_event(session["id"], root, **guards, event_type="note")["id"]
    history = http.get(f"/v2/sessions/{session['id']}/branches/{root}/events").json()["data"]
    fork = client.create_branch(session["id"], root, history[2]["id"])
    guards = {"expected_version": fork["version"], "expected_head_event_id": fork["head_event_id"]}
    own = client.append_event(session["id"], fork["id"], **guards, event_type="note")
    path = f"/v2/sessions/{session['id']}/branches/{fork['id']}/events"
    assert http.get(path).json()["data"] == [*history[:3], own]
    newest = http.get(f"{path}?order=desc&limit=2").json()
    assert ([event["sequence"] for event in newest["data"]], newest["has_more"]) == ([4, 3], True)
    older = http.get(f"{path}?order=desc&limit=2&after={newest['last_id']}").json()
    assert ([event["sequence"] for event in older["data"]], older["has_more"]) == ([2, 1], False)


def test_an_archived_session_is_readable_and_takes_nothing(http: httpx.Client, session: Json) -> None:
    path = f"/v2/sessions/{session['id']}"
    events = f"{path}/branches/{session['default_branch_id']}/events"
    assert http.post(path, json={"status": "archived"}).json()["status"] == "archived"
    assert http.get(path).json()["status"] == "archived"
    append = {"expected_version": 0, "event": {"event_type": "note"}}
    error_of(http.post(events, json=append), 409, "session_not_active")
    assert http.post(path, json={"status": "active"}).json()["status"] == "active"
    assert http.post(events, json=append).status_code == 200


def test_a_purge_tombstones_what_depends_on_the_artifact(http: httpx.Client, client: ZumikClient, policy: Json) -> None:
    bundle = client.create_bundle([{"artifact_id": policy["id"], "role": "system"}])
    session = client.create_session([bundle["id"]])
    branch = f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}"
    snapshot = client.create_snapshot(session["id"], session["default_branch_id"], [policy["id"]])
    client.create_purge_job([policy["id"]])
    error_of(http.get(f"/v2/bundles/{bundle['id']}"), 404)
    error_of(http.get(f"{branch}/snapshots/{snapshot['id']}"), 404)
    assert http.get(f"/v2/sessions/{session['id']}").json()["status"] == "tombstoned"
    append = {"expected_version": 0, "event": {"event_type": "note"}}
    error_of(http.post(f"{branch}/events", json=append), 409, "session_not_active")


def test_a_generation_says_which_release_ran_and_that_no_model_answered(http: httpx.Client) -> None:
    for path in ("/v1/responses", "/v2/responses"):
        headers = http.post(path, json={"model": "code.fast", "input": "Review the latest patch."}).headers
        assert headers["agent-execution-mode"] == "placeholder"
        assert headers["agent-alias-release"].startswith("alr_")
        assert headers["agent-trace-id"].startswith("trc_")


def test_hints_that_do_not_parse_are_ignored(http: httpx.Client) -> None:
    body = {"model": "code.fast", "input": "Review the latest patch."}
    for hints in ("!", "e30", "x" * 9000):
        assert http.post("/v2/responses", json=body, headers={"Agent-Hints": hints}).status_code == 200
    assert http.post("/v2/responses", json=body, headers={"Agent-Hints-Ref": "ah_unknown"}).status_code == 200
    answer = http.post("/v2/responses", json=body, headers={"Agent-Trace-Mode": "everything"})
    error_of(answer, 400, None, "Agent-Trace-Mode")
