"""The Python client as its documentation describes it: synchronous, flat methods, dicts in and out.

Written from the contract's text alone (concepts.md, "Official SDKs and CLI"). It retries nothing and hides nothing,
so what a test sees is what the server sent.
"""

from __future__ import annotations

from typing import Any

import httpx

Json = dict[str, Any]


class ZumikApiError(Exception):
    """Any answer with a status of 400 or more."""

    def __init__(self, status_code: int, payload: Json):
        super().__init__(f"{status_code}: {payload}")
        self.status_code = status_code
        self.payload = payload


class ZumikClient:
    """One key, one base URL.

    The documentation does not say whether an optional argument that was left out is sent as ``null`` or not at all;
    the contract reads both as absent. ``nulls`` chooses, and the suite runs with both.
    """

    def __init__(
        self, api_key: str, base_url: str = "https://api.zumik.ai", timeout: float = 30.0, nulls: bool = False
    ):
        self.nulls = nulls
        self.http = httpx.Client(
            base_url=base_url,
            timeout=timeout,
            headers={"Authorization": f"Bearer {api_key}"},
        )

    def close(self) -> None:
        self.http.close()

    # /v1

    def create_response(self, model: str, input: str | list[Json]) -> Json:
        return self._post("/v1/responses", {"model": model, "input": input})

    def retrieve_response(self, response_id: str) -> Json:
        return self._call("GET", f"/v1/responses/{response_id}")

    def cancel_response(self, response_id: str) -> Json:
        return self._call("POST", f"/v1/responses/{response_id}/cancel")

    # /v2

    def create_artifact(self, artifact_type: str, content: str, **kwargs: Any) -> Json:
        return self._post("/v2/artifacts", {"artifact_type": artifact_type, "content": content, **kwargs})

    def create_bundle(self, items: list[Json], bundle_type: str = "agent_prefix") -> Json:
        return self._post("/v2/bundles", {"bundle_type": bundle_type, "items": items})

    def create_session(self, base_bundle_ids: list[str] | None = None) -> Json:
        return self._post("/v2/sessions", self._body(base_bundle_ids=base_bundle_ids))

    def create_branch(self, session_id: str, fork_from_branch_id: str, fork_from_event_id: str | None = None) -> Json:
        body = self._body(fork_from_branch_id=fork_from_branch_id, fork_from_event_id=fork_from_event_id)
        return self._post(f"/v2/sessions/{session_id}/branches", body)

    def append_event(
        self,
        session_id: str,
        branch_id: str,
        *,
        expected_version: int,
        event_type: str,
        expected_head_event_id: str | None = None,
        payload_ref: str | None = None,
    ) -> Json:
        body = self._body(expected_version=expected_version, expected_head_event_id=expected_head_event_id)
        body["event"] = self._body(event_type=event_type, payload_ref=payload_ref)
        return self._post(f"/v2/sessions/{session_id}/branches/{branch_id}/events", body)

    def create_snapshot(
        self,
        session_id: str,
        branch_id: str,
        ordered_block_manifest: list[str],
        prompt_compiler_revision: str = "pc_1",
    ) -> Json:
        body = {
            "prompt_compiler_revision": prompt_compiler_revision,
            "ordered_block_manifest": ordered_block_manifest,
        }
        return self._post(f"/v2/sessions/{session_id}/branches/{branch_id}/snapshots", body)

    def create_native_response(
        self, model: str, input: str, session_id: str | None = None, branch_id: str | None = None
    ) -> Json:
        return self._post(
            "/v2/responses", self._body(model=model, input=input, session_id=session_id, branch_id=branch_id)
        )

    def run_diagnostic(self, traces: list[Json]) -> Json:
        return self._post("/v2/diagnostics", {"traces": traces})

    def create_purge_job(self, artifact_ids: list[str]) -> Json:
        return self._post("/v2/purge-jobs", {"artifact_ids": artifact_ids})

    def purge_receipt(self, purge_job_id: str) -> Json:
        return self._call("GET", f"/v2/purge-jobs/{purge_job_id}/receipt")

    def token_count(self, input: str) -> Json:
        return self._post("/v2/token-counts", {"input": input})

    # inside

    def _body(self, **members: Any) -> Json:
        return {name: value for name, value in members.items() if self.nulls or value is not None}

    def _post(self, path: str, body: Json) -> Json:
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **kwargs: Any) -> Json:
        answer = self.http.request(method, path, **kwargs)
        if answer.status_code >= 400:
            raise ZumikApiError(answer.status_code, answer.json())
        return answer.json()
