"""The `openai` package as its users have it: only base URL and key are ours.

`OPENAI_BASE_URL` and `OPENAI_API_KEY` name the server; `OPENAI_FOREIGN_API_KEY` is a key of another project of it, and
`OPENAI_READ_API_KEY` one of the same project that may only read. The suite runs against a server with the tests' own
model provider behind it (`-m "not placeholder"`) and against one without (`-m "not upstream"`). What the provider is to
do stands behind the model's name: `gpt-test?status=429`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, OpenAI


def pytest_configure() -> None:
    missing = [name for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY") if not os.environ.get(name)]
    if missing:
        pytest.exit(f"set {' and '.join(missing)} to the server that is to be tested", returncode=2)


@pytest.fixture(scope="session")
def client() -> Iterator[OpenAI]:
    """Repeats nothing by itself, so that a test sees the first answer."""
    with OpenAI(max_retries=0, timeout=20.0) as client:
        yield client


@pytest.fixture
async def async_client() -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(max_retries=0, timeout=20.0) as client:
        yield client


@pytest.fixture(scope="session")
def foreign() -> Iterator[OpenAI]:
    """The same package with a key of another project."""
    with OpenAI(api_key=os.environ["OPENAI_FOREIGN_API_KEY"], max_retries=0, timeout=20.0) as client:
        yield client


@pytest.fixture(scope="session")
def reader() -> Iterator[OpenAI]:
    """The same package with a key that may only read."""
    with OpenAI(api_key=os.environ["OPENAI_READ_API_KEY"], max_retries=0, timeout=20.0) as client:
        yield client
