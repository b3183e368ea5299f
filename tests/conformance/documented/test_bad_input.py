"""Bad input through plain HTTP: the contract's envelope with the right status, code and param, and nothing left behind."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from conftest import Json
from zumik_client import ZumikApiError, ZumikClient

MIB = 1024 * 1024
NO_SUCH_ID = "01jy7n3q8v6kzr4w2m9bd5xpfh"


def error_of(answer: httpx.Response, status: int, code: str | None = None, param: str | None = None) -> Json:
    """The error of an answer, after checking that it is the contract's envelope."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["agent-trace-id"].startswith("trc_")
    assert answer.headers["x-request-id"] == answer.headers["agent-trace-id"]
    error = answer.json()["error"]
    assert set(error) - {"branch"} == {"message", "type", "code", "param"}
    assert error["message"]
    assert (error["code"], error["param"]) == (code, param), error
    return error


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"artifact_type":"policy","content":"a"} x']
)
def test_what_is_not_a_json_object_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v2/artifacts", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_deeply_nested_json_is_refused_and_the_server_lives(http: httpx.Client) -> None:
    deep = b'{"artifact_type":"policy","content":"a","metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"
    answer = http.post("/v2/artifacts", content=deep, headers={"content-type": "application/json"})
    error_of(answer, 400)
    assert http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_another_media_type_is_refused(http: httpx.Client, media_type: str) -> None:
    answer = http.post(
        "/v2/artifacts", content=b'{"artifact_type":"policy","content":"a"}', headers={"content-type": media_type}
    )
    error_of(answer, 400)


def test_a_charset_parameter_is_accepted(http: httpx.Client) -> None:
    body = b'{"artifact_type":"policy","content":"a"}'
    answer = http.post("/v2/artifacts", content=body, headers={"content-type": "application/json; charset=utf-8"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path, body, param",
    [
        ("/v2/artifacts", {}, "artifact_type"),
        ("/v2/artifacts", {"artifact_type": "policy"}, "content"),
        ("/v2/artifacts", {"artifact_type": "poem", "content": "a"}, "artifact_type"),
        ("/v2/artifacts", {"artifact_type": 7, "content": "a"}, "artifact_type"),
        ("/v2/artifacts", {"artifact_type": "policy", "content": 7}, "content"),
        ("/v2/artifacts", {"artifact_type": "policy", "content": None}, "content"),
        ("/v2/artifacts", {"artifact_type": "binary_attachment", "content": "not base64!"}, "content"),
        (
            "/v2/artifacts",
            {"artifact_type": "policy", "content": "a", "content_media_type": "text"},
            "content_media_type",
        ),
        ("/v2/artifacts", {"artifact_type": "policy", "content": "a", "retention_class": "forever"}, "retention_class"),
        ("/v2/artifacts", {"artifact_type": "policy", "content": "a", "metadata": []}, "metadata"),
        ("/v2/bundles", {}, "items"),
        ("/v2/bundles", {"items": []}, "items"),
        ("/v2/bundles", {"items": {}}, "items"),
        ("/v2/bundles", {"items": [f"art_{NO_SUCH_ID}"]}, "items[0]"),
        ("/v2/bundles", {"items": [{"artifact_id": f"art_{NO_SUCH_ID}"}]}, "items[0].role"),
        ("/v2/bundles", {"items": [{"artifact_id": f"art_{NO_SUCH_ID}", "role": ""}]}, "items[0].role"),
        ("/v2/bundles", {"items": [{"artifact_id": f"art_{NO_SUCH_ID}", "role": "x" * 65}]}, "items[0].role"),
        ("/v2/bundles", {"items": [{"artifact_id": f"art_{NO_SUCH_ID}", "role": "system"}]}, "items[0].artifact_id"),
        ("/v2/sessions", {"base_bundle_ids": "bnd_1"}, "base_bundle_ids"),
        ("/v2/sessions", {"base_bundle_ids": [f"bnd_{NO_SUCH_ID}"]}, "base_bundle_ids[0]"),
        ("/v2/responses", {"input": "a"}, "model"),
        ("/v2/responses", {"model": "code.fast"}, "input"),
        ("/v2/responses", {"model": "code.fast", "input": ""}, "input"),
        ("/v2/responses", {"model": "code.fast", "input": "a", "session_id": f"ses_{NO_SUCH_ID}"}, "session_id"),
        ("/v2/responses", {"model": "code.fast", "input": "a", "bundle_id": f"bnd_{NO_SUCH_ID}"}, "bundle_id"),
        ("/v2/responses", {"model": "code.fast", "input": "a", "qos": {"class": "urgent"}}, "qos.class"),
        ("/v2/responses", {"model": "code.fast", "input": "a", "qos": {"deadline_ms": 0}}, "qos.deadline_ms"),
        ("/v2/responses", {"model": "code.fast", "input": "a", "qos": {"priority": 256}}, "qos.priority"),
        ("/v2/responses", {"model": "code.fast", "input": "a", "qos": {"target_ttft_ms": 1.5}}, "qos.target_ttft_ms"),
        ("/v2/diagnostics", {}, "traces"),
        ("/v2/diagnostics", {"traces": []}, "traces"),
        ("/v2/purge-jobs", {}, "artifact_ids"),
        ("/v2/purge-jobs", {"artifact_ids": []}, "artifact_ids"),
        ("/v2/purge-jobs", {"artifact_ids": [f"art_{NO_SUCH_ID}"]}, "artifact_ids[0]"),
        ("/v2/token-counts", {}, "input"),
        ("/v2/token-counts", {"input": ""}, "input"),
        ("/v1/responses", {"input": "a"}, "model"),
        ("/v1/responses", {"model": "code.fast", "input": ""}, "input"),
        ("/v1/responses", {"model": "code.fast", "input": []}, "input"),
    ],
)
def test_the_first_offending_field_is_named(http: httpx.Client, path: str, body: Any, param: str) -> None:
    before = http.get("/v2/artifacts").json()
    error_of(http.post(path, json=body), 400, None, param)
    assert http.get("/v2/artifacts").json() == before


@pytest.mark.parametrize("member", ["messages", "prompt", "input", "content"])
def test_a_trace_with_prompt_text_is_refused(http: httpx.Client, member: str) -> None:
    observed = dict.fromkeys(
        ["ttft_ms", "latency_ms", "input_tokens", "candidate_reuse_tokens", "realized_reused_tokens", "output_tokens"],
        1,
    )
    trace = {"trace_id": "t", "privacy_mode": "metadata", "observed": {"resolved_target": "openai/gpt-4o", **observed}}
    assert http.post("/v2/diagnostics", json={"traces": [trace]}).status_code == 200
    answer = http.post("/v2/diagnostics", json={"traces": [{**trace, member: "secret"}]})
    assert answer.status_code == 400
    assert "secret" not in answer.text


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    for path in ("/v1/responses", "/v2/responses"):
        error_of(http.post(path, json={"model": "code.unknown", "input": "a"}), 404, "model_not_found", "model")


@pytest.mark.parametrize(
    "guards, param",
    [
        ({}, "expected_version"),
        ({"expected_version": -1}, "expected_version"),
        ({"expected_version": "0"}, "expected_version"),
        ({"expected_version": 0.5}, "expected_version"),
        ({"expected_version": 0, "expected_head_event_id": 7}, "expected_head_event_id"),
    ],
)
def test_guards_of_the_wrong_type_are_refused(http: httpx.Client, session: Json, guards: Json, param: str) -> None:
    path = f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}/events"
    error_of(http.post(path, json={**guards, "event": {"event_type": "note"}}), 400, None, param)
    assert http.get(path).json()["data"] == []


@pytest.mark.parametrize("guard, param", [(2**63, "expected_version"), (1, "expected_version")])
def test_an_impossible_version_is_a_conflict_and_not_a_fault(
    http: httpx.Client, session: Json, guard: int, param: str
) -> None:
    path = f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}/events"
    answer = http.post(path, json={"expected_version": guard, "event": {"event_type": "note"}})
    error = error_of(answer, 409, "branch_version_conflict", param)
    assert error["branch"] == {"id": session["default_branch_id"], "version": 0, "head_event_id": None}


@pytest.mark.parametrize(
    "event, param",
    [
        (None, "event"),
        ({}, "event.event_type"),
        ({"event_type": "poem"}, "event.event_type"),
        ({"event_type": "note", "payload_ref": 7}, "event.payload_ref"),
        ({"event_type": "note", "payload_ref": f"art_{NO_SUCH_ID}"}, "event.payload_ref"),
    ],
)
def test_a_bad_event_is_refused(http: httpx.Client, session: Json, event: Any, param: str) -> None:
    path = f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}/events"
    error_of(http.post(path, json={"expected_version": 0, "event": event}), 400, None, param)
    assert http.get(path).json()["data"] == []


@pytest.mark.parametrize(
    "query, param",
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        (f"after=evt_{NO_SUCH_ID}", "after"),
    ],
)
def test_bad_paging_is_refused(http: httpx.Client, session: Json, query: str, param: str) -> None:
    path = f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}/events"
    error_of(http.get(f"{path}?{query}"), 400, None, param)


@pytest.mark.parametrize(
    "key",
    [None, "", "Bearer", "Basic emlrOg==", "Bearer zk_live_00000000000000000000000000000000", "zk_live_x"],
)
@pytest.mark.parametrize("path", ["/v2/artifacts", "/v1/files", "/v2/artifacts/art_x"])
def test_without_a_valid_key_nothing_is_answered(anonymous: httpx.Client, key: str | None, path: str) -> None:
    headers = {} if key is None else {"Authorization": key}
    answer = anonymous.get(path, headers=headers)
    error_of(answer, 401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_health_needs_no_key(anonymous: httpx.Client) -> None:
    answer = anonymous.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_read_key_reads_and_writes_nothing(reader: ZumikClient, policy: Json) -> None:
    assert reader._call("GET", f"/v2/artifacts/{policy['id']}") == policy
    with pytest.raises(ZumikApiError) as caught:
        reader.create_artifact("policy", "a")
    assert (caught.value.status_code, caught.value.payload["error"]["code"]) == (403, "insufficient_scope")


def test_an_unknown_path_and_another_method_are_told_apart(http: httpx.Client) -> None:
    error_of(http.get("/v2/no-such-thing"), 404)
    answer = http.put("/v2/artifacts", json={})
    error_of(answer, 405, "method_not_allowed")
    assert {method.strip() for method in answer.headers["allow"].split(",")} >= {"GET", "POST"}


def test_a_foreign_id_answers_as_one_that_never_existed(
    client: ZumikClient, foreign: ZumikClient, policy: Json, session: Json
) -> None:
    bundle = client.create_bundle([{"artifact_id": policy["id"], "role": "system"}])
    branch = f"/v2/sessions/{session['id']}/branches/{session['default_branch_id']}"
    for path in (
        f"/v2/artifacts/{policy['id']}",
        f"/v2/bundles/{bundle['id']}",
        f"/v2/sessions/{session['id']}",
        branch,
    ):
        theirs = foreign.http.get(path)
        assert theirs.status_code == 404
        missing = foreign.http.get(path[:-1] + ("0" if path[-1] != "0" else "1"))
        masked = missing.text.replace(missing.url.path.rsplit("/", 1)[1], path.rsplit("/", 1)[1])
        assert theirs.text == masked
    with pytest.raises(ZumikApiError) as caught:
        foreign.create_bundle([{"artifact_id": policy["id"], "role": "system"}])
    assert (caught.value.status_code, caught.value.payload["error"]["param"]) == (400, "items[0].artifact_id")
    with pytest.raises(ZumikApiError) as caught:
        foreign.create_purge_job([policy["id"]])
    assert (caught.value.status_code, caught.value.payload["error"]["param"]) == (400, "artifact_ids[0]")
    assert client._call("GET", f"/v2/artifacts/{policy['id']}") == policy


def body_of(size: int) -> bytes:
    """A valid artifact of exactly `size` bytes."""
    frame = b'{"artifact_type":"document","content":"%s"}'
    return frame % (b"x" * (size - len(frame % b"")))


def test_a_body_of_exactly_two_mebibytes_is_taken_and_one_byte_more_is_not(http: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    assert http.post("/v2/artifacts", content=body_of(2 * MIB), headers=headers).status_code == 200
    error_of(http.post("/v2/artifacts", content=body_of(2 * MIB + 1), headers=headers), 413, "request_too_large")


def test_the_cap_holds_for_chunked_bodies(http: httpx.Client) -> None:
    body = body_of(2 * MIB + 1)
    chunks = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    answer = http.post("/v2/artifacts", content=chunks, headers={"content-type": "application/json"})
    error_of(answer, 413, "request_too_large")


@pytest.mark.parametrize(
    "content, content_type",
    [
        (b"", "multipart/form-data; boundary=zumik"),
        (b"--zumik\r\n", "multipart/form-data; boundary=zumik"),
        (
            b'--zumik\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncut off',
            "multipart/form-data; boundary=zumik",
        ),
        (
            b'--zumik\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--zumik--\r\n',
            "multipart/form-data; boundary=zumik",
        ),
        (b"--zumik--\r\n", "multipart/form-data"),
        (b"{}", "application/json"),
    ],
    ids=["empty", "opened", "cut off", "no file", "no boundary", "json"],
)
def test_broken_multipart_leaves_no_file(http: httpx.Client, content: bytes, content_type: str) -> None:
    before = http.get("/v1/files").json()
    answer = http.post("/v1/files", content=content, headers={"content-type": content_type})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert http.get("/v1/files").json() == before


@pytest.mark.parametrize(
    "files, data, param",
    [
        ({"file": ("a", b"")}, {}, "file"),
        ({"file": ("a", b"a")}, {"purpose": "batch_output"}, "purpose"),
        ({"file": ("a", b"a")}, {"purpose": "x" * 65}, "purpose"),
    ],
)
def test_a_bad_part_is_named(http: httpx.Client, files: Any, data: Json, param: str) -> None:
    error_of(http.post("/v1/files", files=files, data=data), 400, None, param)
