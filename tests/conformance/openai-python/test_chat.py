"""Chat completions, plain and streamed."""

from __future__ import annotations

import pytest
from openai import APIError, AsyncOpenAI, OpenAI
from pydantic import BaseModel

QUESTION = [{"role": "user", "content": "Is this loop off by one?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "run_tests",
        "description": "Runs the tests below a path.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}


def test_an_answer_has_openai_s_shape_and_the_requested_name(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="code.fast", messages=QUESTION)
    assert completion.id.startswith("chatcmpl-rsp_")
    assert (completion.object, completion.model) == ("chat.completion", "code.fast")
    choice = completion.choices[0]
    assert (choice.index, choice.message.role, choice.finish_reason) == (0, "assistant", "stop")
    assert choice.message.content
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens == 0


def test_a_stream_gives_the_whole_text_in_order(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="code.fast", messages=QUESTION).choices[0].message.content
    chunks = list(client.chat.completions.create(model="code.fast", messages=QUESTION, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert chunks[0].model == "code.fast"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"


def test_a_stream_ends_with_its_usage_when_that_is_asked_for(client: OpenAI) -> None:
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model="code.fast", messages=QUESTION, stream=True, stream_options=options)
    )
    assert (chunks[-1].choices, chunks[-1].usage.prompt_tokens > 0) == ([], True)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_stream_helper_puts_the_answer_together(client: OpenAI) -> None:
    with client.chat.completions.stream(model="code.fast", messages=QUESTION) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        completion = stream.get_final_completion()
    assert "".join(deltas) == completion.choices[0].message.content


async def test_the_async_client_streams_as_well(async_client: AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(model="code.fast", messages=QUESTION, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    completion = await async_client.chat.completions.create(model="code.fast", messages=QUESTION)
    assert text == completion.choices[0].message.content


@pytest.mark.placeholder
def test_without_a_model_the_answer_says_so_in_its_header(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(model="code.fast", messages=QUESTION)
    assert answer.headers["agent-execution-mode"] == "placeholder"


@pytest.mark.upstream
def test_with_a_model_the_answer_is_the_model_s(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(model="gpt-test", messages=QUESTION)
    assert answer.headers["agent-execution-mode"] == "live"
    assert answer.headers["agent-trace-id"] == answer.headers["x-request-id"]
    assert answer.parse().choices[0].message.content == "You said: Is this loop off by one?"


@pytest.mark.upstream
def test_reused_tokens_are_what_the_model_reports(client: OpenAI) -> None:
    model = "gpt-test?cached_tokens=3"
    completion = client.chat.completions.create(model=model, messages=QUESTION)
    assert completion.usage.prompt_tokens_details.cached_tokens == 3


@pytest.mark.upstream
def test_several_choices_come_back(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="gpt-test", messages=QUESTION, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]


@pytest.mark.upstream
def test_a_tool_is_called_and_its_result_taken(client: OpenAI) -> None:
    first = client.chat.completions.create(model="gpt-test", messages=QUESTION, tools=[TOOL])
    message = first.choices[0].message
    assert (first.choices[0].finish_reason, message.content) == ("tool_calls", None)
    call = message.tool_calls[0]
    assert (call.type, call.function.name, call.function.arguments) == ("function", "run_tests", '{"path":"tests/"}')
    result = {"role": "tool", "tool_call_id": call.id, "content": "3 passed"}
    history = [*QUESTION, message, result]
    second = client.chat.completions.create(model="gpt-test", messages=history, tools=[TOOL])
    assert second.choices[0].message.content == "You said: 3 passed"


@pytest.mark.upstream
def test_a_streamed_tool_call_is_put_together_from_its_pieces(client: OpenAI) -> None:
    with client.chat.completions.stream(model="gpt-test", messages=QUESTION, tools=[TOOL]) as stream:
        completion = stream.get_final_completion()
    call = completion.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("run_tests", '{"path":"tests/"}')


class Echo(BaseModel):
    echo: str


@pytest.mark.upstream
def test_a_structured_answer_is_parsed_into_its_type(client: OpenAI) -> None:
    completion = client.chat.completions.parse(model="gpt-test", messages=QUESTION, response_format=Echo)
    assert completion.choices[0].message.parsed == Echo(echo="Is this loop off by one?")


@pytest.mark.upstream
def test_huge_events_arrive_whole(client: OpenAI) -> None:
    model = "gpt-test?chunks=3&size=1000000&pieces_of=4093"
    stream = client.chat.completions.create(model=model, messages=QUESTION, stream=True)
    assert sum(len(chunk.choices[0].delta.content or "") for chunk in stream) == 3_000_000


@pytest.mark.upstream
@pytest.mark.parametrize("fault", ["cut:3", "end:3", "error:3"])
def test_a_stream_that_breaks_off_is_an_error_after_what_arrived(client: OpenAI, fault: str) -> None:
    stream = client.chat.completions.create(model=f"gpt-test?fault={fault}", messages=QUESTION, stream=True)
    arrived = ""
    with pytest.raises(APIError):
        for chunk in stream:
            arrived += chunk.choices[0].delta.content or ""
    assert arrived == "You said: "
