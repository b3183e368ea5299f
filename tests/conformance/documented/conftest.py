"""Where the server is, and who calls it.

The suite runs against any server: `ZUMIK_BASE_URL` and `ZUMIK_API_KEY` say which. `ZUMIK_FOREIGN_API_KEY` is a key of
another project and `ZUMIK_READ_API_KEY` one of the same project with the scope `read`; tests that need one of them are
left out without it. `cargo xtask test` sets all four.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest

from zumik_client import Json, ZumikClient


def setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set")
    return value


def pytest_configure() -> None:
    missing = [name for name in ("ZUMIK_BASE_URL", "ZUMIK_API_KEY") if not os.environ.get(name)]
    if missing:
        pytest.exit(f"set {' and '.join(missing)} to the server that is to be tested", returncode=2)


@pytest.fixture(scope="session")
def base_url() -> str:
    return os.environ["ZUMIK_BASE_URL"]


@pytest.fixture(scope="session", params=[False, True], ids=["omits", "nulls"])
def client(request: pytest.FixtureRequest, base_url: str) -> Iterator[ZumikClient]:
    """The documented client, once leaving absent arguments out and once sending them as null."""
    client = ZumikClient(os.environ["ZUMIK_API_KEY"], base_url, nulls=request.param)
    yield client
    client.close()


@pytest.fixture(scope="session")
def http(base_url: str) -> Iterator[httpx.Client]:
    """Bare httpx with the key, for what the documented client cannot say."""
    headers = {"Authorization": f"Bearer {os.environ['ZUMIK_API_KEY']}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=30.0) as http:
        yield http


@pytest.fixture(scope="session")
def anonymous(base_url: str) -> Iterator[httpx.Client]:
    """Bare httpx without a key."""
    with httpx.Client(base_url=base_url, timeout=30.0) as http:
        yield http


@pytest.fixture(scope="session")
def foreign(base_url: str) -> Iterator[ZumikClient]:
    """The documented client of another project on the same server."""
    client = ZumikClient(setting("ZUMIK_FOREIGN_API_KEY"), base_url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def reader(base_url: str) -> Iterator[ZumikClient]:
    """The documented client with a key of the scope `read`."""
    client = ZumikClient(setting("ZUMIK_READ_API_KEY"), base_url)
    yield client
    client.close()


@pytest.fixture
def policy(client: ZumikClient) -> Json:
    return client.create_artifact("policy", "Always run the linter before committing.")


@pytest.fixture
def session(client: ZumikClient) -> Json:
    return client.create_session()
