"""`make demo`: traffic for a first look at the dashboard."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.ports import free_port


def demo(port: object, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo against a port, and return how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.demo", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def requests(server: DevServer) -> dict[tuple[str, str, str], float]:
    """Return the number of counted requests, by method, route and status."""
    text = httpx.get(f"{server.url}/api/metrics", headers={"Authorization": f"Bearer {server.token}"}).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    labels = ("method", "route", "status")
    return {
        (sample.labels[labels[0]], sample.labels[labels[1]], sample.labels[labels[2]]): sample.value
        for sample in samples
        if sample.name == "http_requests_total"
    }


@pytest.mark.long
def test_it_reads_writes_misses_and_fails() -> None:
    """It sends all methods, invalid requests, and requests that fail while the database is locked."""
    with dev_server() as server:
        ran = demo(server.port, "--seconds", "27")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert f"Watch it at {server.url}/dashboard" in ran.stdout
        counted = requests(server)
        total = sum(counted.values())
        assert f"{total:.0f} requests: " in ran.stdout
        assert 0 < total < 27 * 50
        for _ in range(5):  # on a busy machine a run is too short for the rare kinds
            if kinds(counted) >= KINDS:
                break
            demo(server.port, "--seconds", "27")
            counted = requests(server)
        assert kinds(counted) >= KINDS


KINDS = {"GET", "POST", "PUT", "DELETE", "200", "201", "404", "409", "422", "503"}


def kinds(counted: dict[tuple[str, str, str], float]) -> set[str]:
    return {kind for method, _, status in counted for kind in (method, status)}


def test_without_a_server_it_says_what_to_do_first() -> None:
    """Without a dev server it tells the user to run `make run`."""
    port = free_port()
    ran = demo(port)
    assert ran.returncode == 1
    assert (
        ran.stdout == f"No dev server answers at http://127.0.0.1:{port}: run `make run` in another terminal first.\n"
    )


@pytest.mark.long
def test_a_database_that_is_set_is_not_locked(tmp_path: Path) -> None:
    """With DATABASE_URL set, the demo takes no lock in that database."""
    with dev_server(env={"DATABASE_URL": f"sqlite:///{tmp_path}/mine.sqlite3"}) as server:
        ran = demo(server.port, "--seconds", "6")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert not any(status.startswith("5") for _, _, status in requests(server))


def test_a_bad_length_is_refused() -> None:
    """A malformed or endless duration is one clear line."""
    ran = demo(free_port(), "--seconds", "forever")
    assert ran.returncode == 2
    assert "must be from 1 to 3600 seconds, not 'forever'" in ran.stderr


def test_an_address_that_is_none_is_refused() -> None:
    """A malformed port or address is one clear line that names it."""
    for ran in (demo("70000"), demo("", "--url", "http://127.0.0.1:70000"), demo("", "--url", "127.0.0.1")):
        assert ran.returncode == 2
        assert "Traceback" not in ran.stderr
        assert "70000" in ran.stderr or "'127.0.0.1'" in ran.stderr


@pytest.mark.long
def test_a_terminal_gets_a_progress_bar() -> None:
    """A terminal shows a growing bar with the counts of the responses so far."""
    with dev_server() as server:
        reader, writer = pty.openpty()
        command = [sys.executable, "-m", "benchmarks.demo", "--url", server.url, "--seconds", "2"]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=writer)
        os.close(writer)
        printed = b""
        while chunk := _read(reader):
            printed += chunk
        assert process.wait(60) == 0
        os.close(reader)
        assert b"] 100%  2xx " in printed
        assert printed.count(b"\r") > 10


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65_536)
    except OSError:  # the other end is closed
        return b""
