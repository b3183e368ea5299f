"""Files, and batches over them to their end."""

from __future__ import annotations

import json
import time

import openai
import pytest
from openai import OpenAI
from openai.types import Batch

WINDOW = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}


def lines(*bodies: dict[str, object]) -> bytes:
    """Input lines `r1`, `r2` and so on."""
    entry = {"method": "POST", "url": "/v1/chat/completions"}
    numbered = enumerate(bodies, start=1)
    return b"".join(json.dumps({"custom_id": f"r{n}", **entry, "body": body}).encode() + b"\n" for n, body in numbered)


def body(text: str, **members: object) -> dict[str, object]:
    return {"model": "code.fast", "messages": [{"role": "user", "content": text}], **members}


def start(client: OpenAI, content: bytes) -> Batch:
    file = client.files.create(file=("requests.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=file.id, metadata={"run": "nightly"}, **WINDOW)


def ended(client: OpenAI, batch: Batch) -> Batch:
    deadline = time.monotonic() + 30
    while batch.status not in ("completed", "failed", "cancelled", "expired"):
        assert time.monotonic() < deadline, batch
        time.sleep(0.02)
        batch = client.batches.retrieve(batch.id)
    return batch


def results(client: OpenAI, file_id: str) -> dict[str, dict[str, object]]:
    written = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    by_id = {line["custom_id"]: line for line in written}
    assert len(by_id) == len(written), "each custom_id once"
    return by_id


def test_a_file_comes_back_as_it_was(client: OpenAI) -> None:
    content = lines(body("hi"))
    file = client.files.create(file=("requests.jsonl", content), purpose="batch")
    assert (file.bytes, file.filename, file.purpose) == (len(content), "requests.jsonl", "batch")
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id, max_wait_seconds=0) == file, "it is ready at once"
    assert file in list(client.files.list())
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_list_of_files_is_read_page_by_page(client: OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.jsonl", b"x"), purpose="user_data").id for n in range(5)]
    pages = client.files.list(purpose="user_data", limit=2, order="asc")
    assert [file.id for file in pages] == made
    for file in made:
        client.files.delete(file)


def test_a_batch_runs_to_its_end(client: OpenAI) -> None:
    batch = start(client, lines(*[body(f"question {n}") for n in range(20)]))
    assert (batch.object, batch.request_counts.total, batch.metadata) == ("batch", 20, {"run": "nightly"})
    batch = ended(client, batch)
    assert batch.status == "completed"
    assert (batch.request_counts.completed, batch.request_counts.failed, batch.error_file_id) == (20, 0, None)
    output = results(client, batch.output_file_id)
    assert set(output) == {f"r{n}" for n in range(1, 21)}
    answer = output["r7"]["response"]
    assert (answer["status_code"], answer["body"]["model"]) == (200, "code.fast")
    assert client.files.retrieve(batch.output_file_id).purpose == "batch_output"
    assert batch.id in [listed.id for listed in client.batches.list(limit=100)]


def test_a_line_that_cannot_be_answered_is_in_the_error_file(client: OpenAI) -> None:
    batch = ended(client, start(client, lines(body("good"), body("bad", temperature=9))))
    counts = batch.request_counts
    assert (batch.status, counts.completed, counts.failed) == ("completed", 1, 1)
    assert set(results(client, batch.output_file_id)) == {"r1"}
    assert results(client, batch.error_file_id)["r2"]["response"]["status_code"] == 400


@pytest.mark.parametrize(
    "content, code",
    [
        (b"not json\n", "invalid_json_line"),
        (b"\n\n", "empty_file"),
        (lines(body("a")) * 2, "duplicate_custom_id"),
        (lines(body("a", stream=True)), "stream_not_allowed"),
        (lines(body("a")).replace(b"/v1/chat/completions", b"/v1/embeddings"), "url_mismatch"),
        (lines(body("a")).replace(b"POST", b"GET"), "invalid_method"),
        (b'{"custom_id":"r1"}\n', "missing_required_parameter"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_file_fails_the_batch_and_says_where(client: OpenAI, content: bytes, code: str) -> None:
    batch = ended(client, start(client, content))
    assert (batch.status, batch.output_file_id) == ("failed", None)
    assert code in [error.code for error in batch.errors.data]


def test_a_file_of_another_project_cannot_be_run(client: OpenAI, foreign: OpenAI) -> None:
    file = foreign.files.create(file=("requests.jsonl", lines(body("hi"))), purpose="batch")
    with pytest.raises(openai.BadRequestError) as caught:
        client.batches.create(input_file_id=file.id, **WINDOW)
    assert caught.value.param == "input_file_id"


@pytest.mark.upstream
def test_a_cancelled_batch_keeps_what_is_done_and_accounts_for_the_rest(client: OpenAI) -> None:
    slow = body("slow", model="gpt-test?delay_ms=100")
    batch = start(client, lines(*[slow] * 200))
    cancelled = client.batches.cancel(batch.id)
    assert cancelled.status in ("cancelling", "cancelled")
    batch = ended(client, cancelled)
    assert batch.status == "cancelled"
    assert batch.error_file_id is not None
    codes = {line["error"]["code"] for line in results(client, batch.error_file_id).values()}
    assert codes == {"batch_cancelled"}
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_00000000000000000000000000")


@pytest.mark.upstream
def test_a_failing_model_fails_its_lines_and_no_others(client: OpenAI) -> None:
    failing = body("no", model="gpt-test?status=400")
    batch = ended(client, start(client, lines(body("yes"), failing, body("yes"))))
    assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
    assert results(client, batch.error_file_id)["r2"]["response"]["status_code"] == 400
