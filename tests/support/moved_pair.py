"""An app before a move and after it, side by side: the same requests, and the series of both."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.dev_server import REPOSITORY
from tests.support.migrating_page import Move
from tests.support.ports import free_port

__all__ = ["Asked", "MovedPair", "Series", "families_of", "moved_pair", "series_of"]

# A sample's name and labels; the value is None where it is a time that a request took.
Series = dict[tuple[str, frozenset[tuple[str, str]]], float | None]

_WITHIN_S = 20.0
_TOKEN = "t"
# What prometheus_client tells of the process, and this package of itself.
_FOREIGN = ("python_", "process_", "kairo_")


class Asked(NamedTuple):
    """One request."""

    path: str
    method: str = "GET"
    content: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


class MovedPair:
    """Both apps, each in a process of its own.

    Args:
        before: the address of the app before the move.
        registry: that of the page of its registry, which is read without a request to the app.
        after: the address of the app after the move.
    """

    def __init__(self, before: str, registry: str, after: str) -> None:
        self._apps = before, after
        self._registry = registry
        # Behind an exception uvicorn ends a connection, which another request may have taken meanwhile.
        self._client = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))

    def ask(self, asked: Asked) -> list[int]:
        """Send one request to each app, and return the statuses."""
        return [
            self._client.request(
                asked.method, app + asked.path, content=asked.content, headers=dict(asked.headers)
            ).status_code
            for app in self._apps
        ]

    def pages(self) -> tuple[str, str]:
        """Return the page of the original's registry, and that of the moved app."""
        page = self._client.get(self._apps[1] + "/metrics", headers={"Authorization": f"Bearer {_TOKEN}"})
        assert page.status_code == 200, page.text
        return self._client.get(self._registry).text, page.text


def families_of(page: str) -> dict[str, tuple[str, str]]:
    """Return the type and the help text of each family that has a series."""
    return {
        family.name: (family.type, " ".join(family.documentation.split()))
        for family in text_string_to_metric_families(page)
        if family.samples and not family.name.startswith(_FOREIGN) and not family.name.endswith("_created")
    }


def series_of(page: str) -> Series:
    """Return what must be equal on two pages: all but how long things took, and what tells of the process."""
    series: Series = {}
    for family in text_string_to_metric_families(page):
        for name, labels, value, *_ in family.samples:
            if name.startswith(_FOREIGN) or name.endswith("_created"):
                continue
            is_time = name.endswith(("_sum", "_bucket")) and "bytes" not in name
            series[name, frozenset(labels.items())] = None if is_time else value
    return series


@contextmanager
def moved_pair(move: Move, interface: str, app: str, folder: Path, redis_url: str) -> Iterator[MovedPair]:
    """Serve both sides of a move.

    Args:
        move: the project's files.
        interface: "asgi" or "wsgi".
        app: where the app is, such as `app:app`.
        folder: for the files.
        redis_url: an empty Redis.
    """
    ports = [free_port() for _ in range(4)]
    servers = []
    for side, files, port, registry_port in (
        ("before", move.before, ports[0], ports[1]),
        ("after", move.after, ports[2], ports[3]),
    ):
        (folder / side).mkdir()
        for name, text in files.items():
            (folder / side / name).write_text(text)
        (folder / side / "page.html").write_text("a template")
        with (folder / f"{side}.log").open("wb") as log:
            command = [sys.executable, "-m", "tests.support.moved_app", interface, app, str(port), str(registry_port)]
            servers.append(
                subprocess.Popen(command, cwd=folder / side, env=_environment(redis_url), stdout=log, stderr=log)
            )
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        for server, port, side in zip(servers, ports[::2], ("before", "after"), strict=True):
            _wait_until_it_listens(server, port, folder / f"{side}.log")
        yield MovedPair(addresses[0], addresses[1], addresses[2])
    finally:
        for server in servers:
            server.kill()
            server.wait()


def _environment(redis_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "METRICS" not in name and "PROMETHEUS" not in name}
    ours = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": _TOKEN, "REDIS_URL": redis_url}
    return {**kept, **ours, "PYTHONPATH": str(REPOSITORY)}


def _wait_until_it_listens(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait without a request, which might be counted."""
    deadline_s = time.monotonic() + _WITHIN_S
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.05)
