"""Embeddings, in the base64 that the package asks for by itself and in plain numbers."""

from __future__ import annotations

import openai
import pytest
from openai import OpenAI

MODEL = "auto.cheapest"


def test_the_default_base64_decodes_to_the_same_numbers(client: OpenAI) -> None:
    by_default = client.embeddings.create(model=MODEL, input=["first chunk", "second chunk"])
    as_floats = client.embeddings.create(model=MODEL, input=["first chunk", "second chunk"], encoding_format="float")
    assert [entry.index for entry in by_default.data] == [0, 1]
    for ours, theirs in zip(by_default.data, as_floats.data, strict=True):
        assert ours.embedding == pytest.approx(theirs.embedding, abs=1e-6)
    assert by_default.model == MODEL
    assert by_default.usage.prompt_tokens == by_default.usage.total_tokens > 0


def test_a_vector_has_unit_length_and_the_wanted_dimensions(client: OpenAI) -> None:
    vector = client.embeddings.create(model=MODEL, input="first chunk", dimensions=12).data[0].embedding
    assert len(vector) == 12
    assert sum(number * number for number in vector) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("text", ["", [], ["a", ""]], ids=["empty text", "no text", "one empty text"])
def test_nothing_to_embed_is_refused(client: OpenAI, text: str | list[str]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=MODEL, input=text)
    assert caught.value.param.startswith("input")


@pytest.mark.upstream
def test_a_model_s_vectors_are_the_model_s(client: OpenAI) -> None:
    answer = client.embeddings.with_raw_response.create(model="embedding-test", input="first chunk")
    assert answer.headers["agent-execution-mode"] == "live"
    assert len(answer.parse().data[0].embedding) == 8


@pytest.mark.upstream
def test_a_model_that_fails_is_not_replaced_by_a_local_vector(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.embeddings.create(model="embedding-test?status=500", input="first chunk")
    assert (caught.value.status_code, caught.value.code) == (502, "provider_error")


@pytest.mark.placeholder
def test_tokens_without_a_model_are_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=MODEL, input=[[1, 2, 3]])
