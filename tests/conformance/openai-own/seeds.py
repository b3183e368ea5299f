"""Makes what the suite takes for granted.

It was written for a mock, and asks for `/batches/batch_id` with a key that nobody has. Here such a name becomes the id of
an object that is made for the request, so that even what deletes finds something to delete, and the key becomes that of
`OPENAI_API_KEY`. Nothing else about a request changes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, NotFoundError, OpenAI

MODEL = "gpt-6-astra"

ours = OpenAI(base_url=os.environ["TEST_API_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])

# The files of one test: a project has room for 200.
files: list[str] = []


def file(model: str = MODEL) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "string"}]}
    line = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    files.append(ours.files.create(file=("requests.jsonl", json.dumps(line).encode()), purpose="batch").id)
    return files[-1]


def batch() -> str:
    # The model never answers: a batch that has ended could not be cancelled any more.
    input_file = file(f"{MODEL}?fault=silence")
    made = ours.batches.create(
        input_file_id=input_file, endpoint="/v1/chat/completions", completion_window="24h"
    )
    return made.id


def response() -> str:
    # Retained, so that another can go on from it.
    retained = {"Agent-Trace-Mode": "encrypted_full_fidelity"}
    return ours.responses.create(model=MODEL, input="string", extra_headers=retained).id


def conversation() -> str:
    return ours.conversations.create().id


SEEDS: dict[str, Callable[[], str]] = {
    "batch_id": batch,
    "conv_123": conversation,
    "file_id": file,
    "input_file_id": file,
    "previous_response_id": response,
    "resp_123": response,
    "resp_677efb5139a88190b512bc3fef8e535d": response,
    "response_id": response,
}


def real(name: Any) -> Any:
    return SEEDS[name]() if isinstance(name, str) and name in SEEDS else name


def seeding(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """The hook of a client before it sends, with what stands for objects replaced."""

    def prepare_options(client: Any, options: Any) -> Any:
        if client is not ours:
            options.url = "/".join(real(part) for part in options.url.split("/"))
            options.headers = {**(options.headers or {}), "Authorization": f"Bearer {ours.api_key}"}
            if isinstance(options.json_data, dict):
                options.json_data = {name: real(value) for name, value in options.json_data.items()}
        return prepare(client, options)

    return prepare_options


@pytest.fixture(autouse=True)
def seeds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # What a mock of the suite's own answers does not reach the server.
    if "respx2_mock" in request.fixturenames:
        yield
        return
    for client in (OpenAI, AsyncOpenAI):
        monkeypatch.setattr(client, "_prepare_options", seeding(client._prepare_options))
    yield
    while files:
        with contextlib.suppress(NotFoundError):
            ours.files.delete(files.pop())
