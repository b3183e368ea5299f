"""Models."""

from __future__ import annotations

import openai
import pytest
from openai import OpenAI


def test_models_are_listed_in_order_and_each_can_be_retrieved(client: OpenAI) -> None:
    models = list(client.models.list())
    ids = [model.id for model in models]
    assert ids == sorted(ids) and "code.fast" in ids
    for model in models:
        assert client.models.retrieve(model.id) == model
        assert (model.object, model.created, model.owned_by) == ("model", 1750000000, "zumik")


@pytest.mark.upstream
def test_the_configured_models_are_among_them(client: OpenAI) -> None:
    assert {"gpt-test", "embedding-test", "vendor/gpt-test"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("vendor/gpt-test").id == "vendor/gpt-test"


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"The model 'code.unknown' does not exist\."):
        client.models.retrieve("code.unknown")
