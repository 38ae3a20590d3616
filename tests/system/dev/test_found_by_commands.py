"""The commands find the dev server of their folder, without a port, a token or the address of its Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.dev_server import REPOSITORY, DevServer, dev_server
from tests.support.variants import variants

HELLO = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

app = instrument(Starlette(routes=[Route("/api/hello", lambda request: PlainTextResponse("hello"))]))
"""
FOREIGN = {"REDIS_URL", "KV_URL", "REDIS_TLS_URL", "ENABLE_METRICS", "VERCEL_ENV"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "api").mkdir()
    (folder / "api" / "hello.py").write_text(HELLO)
    return folder


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[DevServer]:
    with dev_server(project) as running:
        httpx.get(f"{running.url}/api/hello").raise_for_status()
        yield running


def run(server: DevServer, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with an environment that names no store."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN and "METRICS_" not in name}
    variables = kept | {"XDG_RUNTIME_DIR": str(server.runtime), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "lib.kairo_metrics", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_what_a_request_counted_is_shown(server: DevServer, project: Path) -> None:
    """`show` has the request, and says where it looked."""
    deadline_s = time.monotonic() + 30
    while (shown := run(server, project, "show", "http_requests_total", "--json")).returncode:
        assert time.monotonic() < deadline_s, shown.stderr  # the flush follows the response
    assert shown.stderr == f"Using the dev server at {server.url}\n"
    assert sum(series["value"] for series in json.loads(shown.stdout)["series"]) == 1


def test_the_doctor_finds_nothing_wrong(server: DevServer, project: Path) -> None:
    """`doctor` checks the server's own Redis and settings."""
    checked = run(server, project, "doctor", "--json")
    checks = {found["check"]: found["mark"] for found in json.loads(checked.stdout)["checks"]}
    assert checks["redis"] == "ok", checked.stdout


def test_another_folder_has_no_server(server: DevServer, tmp_path: Path) -> None:
    """A command elsewhere says which variable is missing."""
    shown = run(server, tmp_path, "series")
    assert shown.returncode != 0
    assert "REDIS_URL is not set" in shown.stderr


@pytest.mark.parametrize("ending", variants([signal.SIGTERM, signal.SIGKILL], [signal.SIGKILL]))
def test_a_server_that_has_ended_is_not_found(ending: signal.Signals, project: Path) -> None:
    """However it ended."""
    with dev_server(project) as server:
        assert run(server, project, "series").returncode == 0
        server.stop(ending)
        assert "REDIS_URL is not set" in run(server, project, "series").stderr
