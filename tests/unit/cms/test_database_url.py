"""`DATABASE_URL`: the forms that hosts use work, errors name the fault, and TLS is as the URL says."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import text

from lib.kairo_cms.database import Database
from lib.kairo_cms.database_url import DatabaseUrl
from lib.kairo_cms.errors import DatabaseUnavailable
from tests.support.content_client import ACME, connected, unavailable
from tests.support.postgres_server import LEAVES_SOCKETS, PASSWORD, PostgresServer

pytestmark = LEAVES_SOCKETS


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+pg8000"])
def test_postgres_url(scheme: str) -> None:
    """Every form of a PostgreSQL URL is translated for the one driver."""
    target = DatabaseUrl.parse(f"{scheme}://me:p%40ss@db.example:6543/cms", 2.5)
    assert target.url.drivername == "postgresql+pg8000"
    assert (target.url.username, target.url.password, target.url.host) == ("me", "p@ss", "db.example")
    assert target.connect_args == {"timeout": 2.5, "ssl_context": None}


@pytest.mark.parametrize(("mode", "expected"), [("disable", False), ("prefer", None), ("require", True)])
def test_sslmode(mode: str, expected: object) -> None:
    """`sslmode` and `channel_binding`, which pg8000 does not know, are translated."""
    target = DatabaseUrl.parse(f"postgres://me@db.example/cms?sslmode={mode}&channel_binding=require", 5.0)
    assert target.connect_args["ssl_context"] is expected
    assert target.url.query == {}


@pytest.mark.parametrize(("mode", "checks_name"), [("verify-ca", False), ("verify-full", True)])
def test_verifying_sslmode(mode: str, checks_name: bool) -> None:
    """The verifying modes check the certificate, and only "verify-full" checks the name in it."""
    context = DatabaseUrl.parse(f"postgres://me@db.example/cms?sslmode={mode}", 5.0).connect_args["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, checks_name)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("nonsense", "malformed"),
        (f"postgres://me:{PASSWORD}@db.example:port/cms", "malformed"),
        (f"mysql://me:{PASSWORD}@db.example/cms", "unsupported"),
        ("postgres://db.example/cms", "user"),
        (f"postgres://me:{PASSWORD}@db.example/cms?pgbouncer=true", "'pgbouncer'"),
        (f"postgres://me:{PASSWORD}@db.example/cms?sslmode=yes", "verify-full"),
        (f"postgres://me:{PASSWORD}@db.example/cms?sslmode=require&sslmode=disable", "verify-full"),
        ("sqlite://", "file"),
        ("sqlite:///:memory:", "file"),
        ("sqlite:////tmp/x.sqlite3?mode=ro", "'mode'"),
    ],
)
async def test_wrong_url(url: str, word: str, caplog: pytest.LogCaptureFixture) -> None:
    """A malformed `DATABASE_URL` gets 503; the error says what to correct and never shows the password."""
    async with connected(url) as client:
        reason = unavailable(await client.get("/api/content", headers=ACME))
    assert "DATABASE_URL" in reason
    assert word in reason
    assert "DATABASE_URL" in caplog.text
    assert PASSWORD not in caplog.text


async def test_default_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `DATABASE_URL` the entries are in the temporary folder, the only one that a function can write to."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with connected("") as client:
        assert (await client.get("/api/content", headers=ACME)).status_code == 200
    assert (tmp_path / "kairo-cms.sqlite3").exists()


async def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`DATABASE_URL` names the database, and an argument takes precedence."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/environment.sqlite3\n")
    for argument, file in (("", "environment.sqlite3"), (f"sqlite:///{tmp_path}/argument.sqlite3", "argument.sqlite3")):
        assert not (tmp_path / file).exists()
        async with connected(argument) as client:
            assert (await client.get("/api/content", headers=ACME)).status_code == 200
        assert (tmp_path / file).exists()


@pytest.mark.postgres
@pytest.mark.parametrize(("query", "encrypted"), [("", True), ("?sslmode=disable", False), ("?sslmode=require", True)])
def test_encryption(postgres: PostgresServer, query: str, encrypted: bool) -> None:
    """The connection is encrypted unless the URL turns TLS off."""
    database = Database(postgres.new_database() + query)
    with database.transaction() as session:
        assert session.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) is encrypted
    database.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("mode", "host", "trusted", "accepted"),
    [
        ("verify-full", "127.0.0.1", True, True),
        ("verify-full", "127.0.0.1", False, False),
        ("verify-full", "localhost", True, False),
        ("verify-ca", "localhost", True, True),
        ("verify-ca", "localhost", False, False),
    ],
)
def test_certificate(  # noqa: PLR0913, PLR0917 - one argument per column of the table
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    host: str,
    trusted: bool,
    accepted: bool,
) -> None:
    """The verifying modes refuse a certificate of an unknown authority; "verify-full" also refuses a wrong name."""
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(postgres.certificate))
    url = postgres.new_database().replace("127.0.0.1", host)
    database = Database(f"{url}?sslmode={mode}")
    if accepted:
        with database.transaction() as session:
            assert session.scalar(text("SELECT 1")) == 1
    else:
        with pytest.raises(DatabaseUnavailable) as error, database.transaction():
            pass
        assert isinstance(error.value.__cause__, ssl.SSLCertVerificationError)
    database.close()
