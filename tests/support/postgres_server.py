"""A private PostgreSQL server, started from the system's binaries."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.support.ports import free_port

PASSWORD = "s3cret-of-the-tests"
# For every module with tests of PostgreSQL: pg8000's sockets are closed by the garbage collector.
LEAVES_SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")
_INSTALL = "PostgreSQL 15 or newer is missing: apt-get install --no-install-recommends postgresql openssl"
_START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server with passwords and TLS.

    Args:
        port: its port on 127.0.0.1.
        certificate: the self-signed certificate, for 127.0.0.1 and for no host name.
        binaries: the folder of psql.
        names: numbers for the names of new databases.
    """

    port: int
    certificate: Path
    binaries: Path
    names: count[int]

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"cms{next(self.names)}"
        self.psql("postgres", f"CREATE DATABASE {name}")
        return f"postgres://kairo:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def psql(self, database: str, sql: str) -> str:
        """Run one statement with psql, and return its output."""
        server = f"host=127.0.0.1 port={self.port} user=kairo password={PASSWORD} dbname={database}"
        return subprocess.check_output([f"{self.binaries}/psql", "-Atc", sql, server], encoding="utf-8").strip()


@pytest.fixture(name="postgres")
def postgres_server(running_postgres: PostgresServer) -> Iterator[PostgresServer]:
    """Give the server; sockets that pg8000 left open are collected here, and not in the middle of another test."""
    yield running_postgres
    gc.collect()


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[PostgresServer]:
    """Run a private server; if PostgreSQL is not installed, its tests are skipped, which conftest forbids in CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found or not shutil.which("openssl"):
        pytest.skip(_INSTALL)
    binaries = found[-1].parent
    # Not pytest's tmp_path: the server refuses to run as root, and no other user may enter that folder.
    folder = Path(tempfile.mkdtemp(prefix="kairo-postgres-"))
    owner = "postgres" if os.geteuid() == 0 else None
    if owner:
        shutil.chown(folder, owner)
    try:
        _prepare(folder, binaries, owner)
        port = free_port()
        command = [f"{binaries}/postgres", "-D", f"{folder}/data", "-p", str(port), "-k", str(folder)]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, user=owner, stdout=log, stderr=log) as server,
        ):
            try:
                _wait(server, binaries, port, folder / "log")
                yield PostgresServer(port, folder / "server.crt", binaries, count())
            finally:
                server.send_signal(signal.SIGINT)  # "fast shutdown": it does not wait for clients
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, binaries: Path, owner: str | None) -> None:
    """Create the cluster, a certificate, and the settings that use it."""

    def run(*command: str | Path) -> None:
        subprocess.run(command, user=owner, cwd=folder, check=True, capture_output=True)

    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    (folder / "password").chmod(0o644)
    # English sorts "a-b" after "ab", bytes do not: so a query without its collation fails a test.
    run(
        *(binaries / "initdb", "--no-sync", "--pgdata", folder / "data", "--username", "kairo", "--encoding", "UTF8"),
        *("--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US"),
        *("--auth", "scram-sha-256", "--pwfile", folder / "password"),
    )
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kairo-tests"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
        *("-keyout", folder / "server.key", "-out", folder / "server.crt"),
    )
    (folder / "server.crt").chmod(0o644)
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(
            f"listen_addresses = '127.0.0.1'\nfsync = off\nssl = on\n"
            f"ssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\n"
        )


def _wait(server: subprocess.Popen[bytes], binaries: Path, port: int, log: Path) -> None:
    deadline = monotonic() + _START_TIMEOUT_S
    ready = [f"{binaries}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, check=False).returncode != 0:
        if server.poll() is not None or monotonic() > deadline:
            pytest.fail(f"PostgreSQL did not start:\n{log.read_text(encoding='utf-8')}")
        sleep(0.05)
