"""Every refusal becomes the exception class that users of the package catch."""

from __future__ import annotations

import base64

import openai
import pytest
from openai import OpenAI

QUESTION = [{"role": "user", "content": "hi"}]


def test_a_wrong_key(client: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="zk_live_" + "0" * 32).models.list()
    assert (caught.value.status_code, caught.value.code) == (401, "invalid_api_key")


def test_a_key_that_may_only_read(client: OpenAI, reader: OpenAI) -> None:
    assert reader.models.list().data
    with pytest.raises(openai.PermissionDeniedError) as caught:
        reader.chat.completions.create(model="code.fast", messages=QUESTION)
    assert (caught.value.status_code, caught.value.code) == (403, "insufficient_scope")


def test_an_idempotency_key_of_another_request(client: OpenAI) -> None:
    key = {"Agent-Idempotency-Key": "test-errors-1"}
    first = client.chat.completions.create(model="code.fast", messages=QUESTION, extra_headers=key)
    assert client.chat.completions.create(model="code.fast", messages=QUESTION, extra_headers=key) == first
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.chat.completions.create(model="code.fast", messages=QUESTION, n=1, extra_headers=key)
    assert caught.value.code == "idempotency_key_reused"


@pytest.mark.upstream
def test_an_idempotency_key_in_flight(client: OpenAI) -> None:
    request = {"model": "gpt-test?fault=stall:3", "messages": QUESTION, "stream": True}
    key = {"Agent-Idempotency-Key": "test-errors-2"}
    with client.chat.completions.create(**request, extra_headers=key) as stream:
        next(iter(stream))
        with pytest.raises(openai.ConflictError) as caught:
            client.chat.completions.create(**request, extra_headers=key)
    assert caught.value.type == "idempotency_conflict"


@pytest.mark.upstream
def test_a_model_that_misses_its_deadline(client: OpenAI) -> None:
    hints = base64.urlsafe_b64encode(b'{"version":"2026-06-01","qos":{"deadline_ms":100}}').decode().rstrip("=")
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(
            model="gpt-test?fault=silence", messages=QUESTION, extra_headers={"Agent-Hints": hints}
        )
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")


def test_empty_messages(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="code.fast", messages=[])
    assert (caught.value.param, caught.value.code, caught.value.type) == ("messages", None, "invalid_request_error")


def test_a_role_that_there_is_not(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="code.fast", messages=[{"role": "robot", "content": "hi"}])
    assert caught.value.param == "messages[0].role"


def test_options_of_a_stream_without_a_stream(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="code.fast", messages=QUESTION, stream_options={"include_usage": True})
    assert caught.value.param == "stream_options"


@pytest.mark.placeholder
@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_there_is_not(client: OpenAI, stream: bool) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="code/unknown", messages=QUESTION, stream=stream)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.placeholder
@pytest.mark.parametrize(
    "wish",
    [
        {"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"logprobs": True},
        {"modalities": ["text", "audio"]},
    ],
    ids=lambda wish: next(iter(wish)),
)
def test_what_the_placeholder_cannot_honor(client: OpenAI, wish: dict[str, object]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="code.fast", messages=QUESTION, **wish)
    assert caught.value.param.startswith(next(iter(wish)))


@pytest.mark.upstream
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    "status, error, code",
    [
        (400, openai.BadRequestError, None),
        (401, openai.InternalServerError, "provider_error"),
        (403, openai.InternalServerError, "provider_error"),
        (422, openai.UnprocessableEntityError, None),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, "provider_error"),
        (503, openai.InternalServerError, "provider_error"),
    ],
)
def test_an_error_of_the_model(
    client: OpenAI, status: int, error: type[openai.APIStatusError], code: str | None, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"gpt-test?status={status}", messages=QUESTION, stream=stream)
    assert caught.value.code == code
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "1"


@pytest.mark.upstream
def test_the_package_waits_and_repeats_when_it_may(client: OpenAI) -> None:
    patient = client.with_options(max_retries=1)
    with pytest.raises(openai.RateLimitError):
        patient.chat.completions.create(model="gpt-test?status=429&retry_after=0", messages=QUESTION)
