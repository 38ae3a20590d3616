"""The database of the content API: its first use, and a database that is busy or unreachable."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from lib.kairo_cms.database import Database
from tests.support.content_client import ACME, any_database_url, connected, unavailable  # noqa: F401 - fixtures, too
from tests.support.postgres_server import LEAVES_SOCKETS, PASSWORD, PostgresServer

pytestmark = LEAVES_SOCKETS
HELLO = {"slug": "hello", "title": "Hello", "body": "World"}
# What is to succeed may take long on a busy machine; what is to be refused is refused soon.
PATIENT_S, HASTY_S = 60.0, 0.2


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; only a failing test waits long."""
    async with asyncio.timeout(PATIENT_S):
        while not condition():  # noqa: ASYNC110  the server sets no event
            await asyncio.sleep(0.02)


async def test_many_first_requests(database_url: str) -> None:
    """The first requests of an instance may arrive at the same time."""
    async with connected(database_url) as client:
        posts = [client.post("/api/content", json=HELLO | {"slug": f"by{n}"}, headers=ACME) for n in range(20)]
        assert {response.status_code for response in await asyncio.gather(*posts)} == {201}


@pytest.mark.postgres
async def test_no_right_to_create(postgres: PostgresServer) -> None:
    """A database user without the right to create tables can use existing tables."""
    url = postgres.new_database()
    async with connected(url) as client:
        assert (await client.post("/api/content", json=HELLO, headers=ACME)).status_code == 201
    name = url.rsplit("/", 1)[1]
    postgres.psql(name, f"CREATE ROLE {name}_reader LOGIN PASSWORD '{PASSWORD}'")
    postgres.psql(name, f"GRANT SELECT ON entry TO {name}_reader")
    async with connected(url.replace("//kairo:", f"//{name}_reader:")) as client:
        assert (await client.get("/api/content/hello", headers=ACME)).status_code == 200


# Unreachable, or busy


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:{password}@127.0.0.1:1/cms",
        "postgres://me:{password}@no-such.invalid/cms",
        "sqlite:////no/such/file",
    ],
)
async def test_unreachable(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """An unreachable database is a server error and not the client's: 503, and the log says why."""
    async with connected(url.format(password=PASSWORD), timeout_s=PATIENT_S) as client:
        assert "unreachable" in unavailable(await client.get("/api/content", headers=ACME))
    assert "Error" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.postgres
@pytest.mark.parametrize("change", [(PASSWORD, PASSWORD[::-1]), ("/cms", "/no_such_cms")], ids=["password", "database"])
async def test_refused(postgres: PostgresServer, change: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """If the database refuses the login, the response is 503, and the password is not shown."""
    async with connected(postgres.new_database().replace(*change)) as client:
        unavailable(await client.get("/api/content", headers=ACME))
    assert PASSWORD not in caplog.text
    assert PASSWORD[::-1] not in caplog.text


async def test_locked_sqlite(tmp_path: Path) -> None:
    """While another process writes, reads succeed and writes get 503; afterwards writes succeed."""
    file = tmp_path / "cms.sqlite3"
    url = f"sqlite:///{file}"
    async with connected(url, timeout_s=PATIENT_S) as client, connected(url, timeout_s=HASTY_S) as hasty:
        client.headers.update(ACME)
        assert (await client.post("/api/content", json=HELLO)).status_code == 201
        writer = sqlite3.connect(file, isolation_level=None)
        writer.execute("BEGIN EXCLUSIVE")
        assert (await client.get("/api/content/hello")).status_code == 200
        assert "busy" in unavailable(await hasty.post("/api/content", json=HELLO | {"slug": "other"}, headers=ACME))
        writer.close()
        assert (await client.post("/api/content", json=HELLO | {"slug": "other"})).status_code == 201


@pytest.mark.postgres
async def test_locked_postgres(postgres: PostgresServer) -> None:
    """A request for a row that another transaction has locked gets 503; other requests succeed."""
    url = postgres.new_database()
    other = Database(url)
    async with connected(url, timeout_s=PATIENT_S) as client, connected(url, timeout_s=HASTY_S) as hasty:
        client.headers.update(ACME)
        await client.post("/api/content", json=HELLO)
        with other.transaction() as session:
            session.execute(text("SELECT 1 FROM entry FOR UPDATE"))
            unavailable(await hasty.post("/api/content/hello/publish", headers=ACME))
            assert (await client.get("/api/content/hello")).json()["status"] == "draft"
        assert (await client.post("/api/content/hello/publish")).json()["status"] == "published"
    other.close()


@pytest.mark.postgres
async def test_connection_lost(postgres: PostgresServer) -> None:
    """A connection that was closed while the instance was frozen is replaced, and no request fails."""
    url = postgres.new_database()
    async with connected(url) as client:
        client.headers.update(ACME)
        await client.post("/api/content", json=HELLO)
        name = url.rsplit("/", 1)[1]
        postgres.psql("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert (await client.get("/api/content/hello")).status_code == 200


@pytest.mark.postgres
async def test_connections(postgres: PostgresServer) -> None:
    """After a burst an instance keeps one connection, and after its shutdown none."""
    url = postgres.new_database()
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{url.rsplit('/', 1)[1]}'"
    async with connected(url) as client:
        await asyncio.gather(*(client.get("/api/content", headers=ACME) for _ in range(30)))
        # The server notices a closed connection a little later.
        await eventually(lambda: postgres.psql("postgres", count) == "1")
    await eventually(lambda: postgres.psql("postgres", count) == "0")


@pytest.mark.postgres
async def test_time_zone_of_the_server(postgres: PostgresServer) -> None:
    """Dates are in UTC, whatever the time zone of the database server."""
    url = postgres.new_database()
    name = url.rsplit("/", 1)[1]
    postgres.psql("postgres", f"ALTER DATABASE {name} SET timezone = 'Asia/Kolkata'")
    async with connected(url) as client:
        client.headers.update(ACME)
        created = (await client.post("/api/content", json=HELLO)).json()
        assert created["created_at"].endswith("Z")
        assert (await client.get("/api/content/hello")).json() == created
