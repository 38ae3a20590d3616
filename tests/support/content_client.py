"""A client of the content API, with SQLite and with PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from lib.kairo_cms import content_app
from tests.support.postgres_server import PASSWORD

ACME = {"X-Tenant": "acme"}
GLOBEX = {"X-Tenant": "globex"}


@asynccontextmanager
async def connected(database_url: str, timeout_s: float = 5.0) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that calls the API in this process, and close the database at the end."""
    app = content_app(database_url, timeout_s=timeout_s)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://cms") as client,
    ):
        yield client


def unavailable(response: httpx.Response) -> str:
    """Check that the answer is a 503 without a secret, and return its reason."""
    assert response.status_code == 503, response.text
    assert PASSWORD not in response.text
    reason: str = response.json()["error"]
    return reason


@pytest.fixture(name="database_url", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cms.sqlite3"
    url: str = request.getfixturevalue("postgres").new_database()
    return url


@pytest.fixture(name="client")
async def acme_client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the tenant "acme"."""
    async with connected(database_url) as client:
        client.headers.update(ACME)
        yield client
