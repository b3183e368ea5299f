"""A list of the tests that do not apply, which can only shrink.

Each line of `skips.txt` is a pattern for the names of tests and, behind two spaces, why they do not apply. The tests that
it names run all the same: one that passes fails the run, and so does a pattern that names nothing. An error of the server
(5xx) is never excused.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

SKIPS = Path(__file__).with_suffix(".txt")


def skips() -> dict[str, str]:
    """Patterns and their reasons."""
    lines = [line for line in SKIPS.read_text().splitlines() if line and not line.startswith("#")]
    return {pattern: reason.strip() for pattern, reason in (line.split("  ", 1) for line in lines)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for pattern, reason in skips().items():
        # Of the wildcards only the star is one: brackets are a part of names.
        glob = pattern.replace("[", "[[]")
        named = [item for item in items if fnmatch.fnmatchcase(item.nodeid.removeprefix("tests/api_resources/"), glob)]
        if not named:
            raise pytest.UsageError(f"skips.txt: '{pattern}' names no test")
        for item in named:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    except openai.InternalServerError as error:
        pytest.exit(f"{item.nodeid}: the server failed: {error}", returncode=1)
