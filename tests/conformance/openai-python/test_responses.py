"""Responses, their stream, and the conversations that hold them together."""

from __future__ import annotations

import time

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

MODEL = "code.balanced"
RETAINED = {"Agent-Trace-Mode": "encrypted_full_fidelity"}
TOOL = {
    "type": "function",
    "name": "run_tests",
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    "strict": False,
}


def test_a_response_is_stored_as_it_was_answered(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Review the latest patch.", metadata={"run": "nightly"})
    assert response.id.startswith("resp_")
    assert (response.status, response.model, response.metadata) == ("completed", MODEL, {"run": "nightly"})
    assert response.output_text
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.usage.input_tokens_details.cache_write_tokens == 0
    assert client.responses.retrieve(response.id) == response
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_a_response_that_is_not_to_be_stored_is_not(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Review the latest patch.", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_a_stream_has_openai_s_events_in_order(client: OpenAI) -> None:
    events = list(client.responses.create(model=MODEL, input="Review the latest patch.", stream=True))
    kinds = [event.type for event in events]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    final = events[-1].response
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == final.output_text
    assert {event.response.id for event in events if hasattr(event, "response")} == {final.id}
    assert (final.model, client.responses.retrieve(final.id)) == (MODEL, final)


def test_the_stream_helper_puts_the_response_together(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="Review the latest patch.") as stream:
        for _ in stream:
            pass
        response = stream.get_final_response()
    assert client.responses.retrieve(response.id).output_text == response.output_text


async def test_the_async_client_streams_as_well(async_client: AsyncOpenAI) -> None:
    stream = await async_client.responses.create(model=MODEL, input="Review the latest patch.", stream=True)
    assert [event.type async for event in stream][-1] == "response.completed"


def test_input_items_are_kept_only_when_that_is_wished(client: OpenAI) -> None:
    forgotten = client.responses.create(model=MODEL, input="Review the latest patch.")
    assert list(client.responses.input_items.list(forgotten.id)) == []
    kept = client.responses.create(model=MODEL, input="Review the latest patch.", extra_headers=RETAINED)
    items = list(client.responses.input_items.list(kept.id))
    assert [(item.role, item.content[0].text) for item in items] == [("user", "Review the latest patch.")]


def test_a_response_goes_on_from_the_one_before(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="Review the latest patch.", extra_headers=RETAINED)
    counted = {"model": MODEL, "input": "Add that test."}
    alone = client.responses.input_tokens.count(**counted).input_tokens
    after = client.responses.input_tokens.count(**counted, previous_response_id=first.id).input_tokens
    assert 0 < alone < after
    second = client.responses.create(**counted, previous_response_id=first.id)
    assert second.previous_response_id == first.id


def test_a_response_does_not_go_on_from_what_was_not_kept(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="Review the latest patch.")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="Add that test.", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"


def test_a_conversation_holds_its_responses_together(client: OpenAI) -> None:
    conversation = client.conversations.create(metadata={"topic": "patch-review"})
    assert client.conversations.retrieve(conversation.id) == conversation
    turn = {"model": MODEL, "conversation": conversation.id, "extra_headers": RETAINED}
    first = client.responses.create(input="Review the latest patch.", **turn)
    second = client.responses.create(input="Add that test.", **turn)
    assert first.conversation.id == second.conversation.id == conversation.id
    assert second.usage.input_tokens > first.usage.input_tokens
    assert client.conversations.delete(conversation.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)
    assert client.responses.retrieve(first.id).id == first.id, "responses outlive their conversation"


def test_a_context_is_compacted_and_carried_on(client: OpenAI) -> None:
    history = [
        {"role": "user", "content": "Review the latest patch."},
        {"role": "assistant", "content": "It looks correct; add a test for the empty case."},
        {"role": "user", "content": "Add that test."},
    ]
    compacted = client.responses.compact(model=MODEL, input=history)
    assert compacted.object == "response.compaction"
    assert [item.type for item in compacted.output] == ["message", "compaction"]
    carried = [item.model_dump(exclude_none=True) for item in compacted.output]
    assert client.responses.create(model=MODEL, input=[*carried, {"role": "user", "content": "Go on."}]).output_text


def test_a_background_response_is_polled_to_its_end(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Review the latest patch.", background=True)
    assert response.status in ("queued", "in_progress")
    deadline = time.monotonic() + 20
    while response.status in ("queued", "in_progress"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
        response = client.responses.retrieve(response.id)
    assert response.status == "completed"
    assert client.responses.cancel(response.id).status == "completed", "what has ended stays as it is"


@pytest.mark.upstream
def test_a_running_background_response_is_cancelled(client: OpenAI) -> None:
    response = client.responses.create(model="gpt-test?fault=silence", input="Never.", background=True)
    assert client.responses.cancel(response.id).status == "cancelled"
    assert client.responses.retrieve(response.id).status == "cancelled"


@pytest.mark.upstream
def test_the_model_answers(client: OpenAI) -> None:
    answer = client.responses.with_raw_response.create(model="gpt-test?cached_tokens=2", input="Review the patch.")
    assert answer.headers["agent-execution-mode"] == "live"
    response = answer.parse()
    assert response.output_text == "You said: Review the patch."
    assert response.usage.input_tokens_details.cached_tokens == 2


@pytest.mark.upstream
def test_a_function_is_called_and_its_result_taken(client: OpenAI) -> None:
    first = client.responses.create(model="gpt-test", input="Run the tests.", tools=[TOOL])
    call = first.output[0]
    assert (call.type, call.name, call.arguments) == ("function_call", "run_tests", '{"path":"tests/"}')
    items = [
        {"role": "user", "content": "Run the tests."},
        call.model_dump(exclude_none=True),
        {"type": "function_call_output", "call_id": call.call_id, "output": "3 passed"},
    ]
    second = client.responses.create(model="gpt-test", input=items, tools=[TOOL])
    assert second.output_text == "You said: 3 passed"


@pytest.mark.upstream
def test_a_streamed_function_call_is_put_together(client: OpenAI) -> None:
    with client.responses.stream(model="gpt-test", input="Run the tests.", tools=[TOOL]) as stream:
        call = stream.get_final_response().output[0]
    assert (call.name, call.arguments) == ("run_tests", '{"path":"tests/"}')


class Echo(BaseModel):
    echo: str


@pytest.mark.upstream
def test_a_structured_answer_is_parsed_into_its_type(client: OpenAI) -> None:
    response = client.responses.parse(model="gpt-test", input="hi", text_format=Echo)
    assert response.output_parsed == Echo(echo="hi")


@pytest.mark.upstream
@pytest.mark.parametrize("fault", ["cut:6", "end:6"])
def test_a_stream_that_breaks_off_ends_as_failed(client: OpenAI, fault: str) -> None:
    stream = client.responses.create(model=f"gpt-test?fault={fault}", input="Review the patch.", stream=True)
    events = []
    try:
        events.extend(event for event in stream)
    except openai.APIError:
        return
    assert events[-1].type in ("response.failed", "error")
