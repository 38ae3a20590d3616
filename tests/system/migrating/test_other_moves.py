"""The moves from several processes and from the Pushgateway, by the steps of docs/migrating.md."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import prometheus_client.exposition
from prometheus_client.parser import text_string_to_metric_families

from tests.support.dev_server import REPOSITORY
from tests.support.instance import Start, samples
from tests.support.migrating_page import moves, section
from tests.support.moved_pair import series_of
from tests.support.ports import free_port


def environment(redis_url: str, **more: str) -> dict[str, str]:
    """Return the variables of a moved program, and no others that concern metrics."""
    kept = {name: value for name, value in os.environ.items() if "METRICS" not in name and "PROMETHEUS" not in name}
    ours = {"ENABLE_METRICS": "true", "METRICS_AUTH_TOKEN": "t", "REDIS_URL": redis_url}
    return {**kept, **ours, "PYTHONPATH": str(REPOSITORY), **more}


@contextmanager
def gunicorn(folder: Path, app: str, variables: dict[str, str]) -> Iterator[str]:
    """Serve an app in two processes, and return its address."""
    folder.mkdir()
    (folder / "app.py").write_text(app)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "app:app"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + 30
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/nothing")
                break
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline_s, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def test_several_processes_show_the_sums_that_they_had(tmp_path: Path, redis_url: str) -> None:
    """Two workers of gunicorn count what they counted with PROMETHEUS_MULTIPROC_DIR, without a folder."""
    [move] = moves("From PROMETHEUS_MULTIPROC_DIR")
    (tmp_path / "values").mkdir()
    original = environment(redis_url, ENABLE_METRICS="", PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "values"))
    with (
        gunicorn(tmp_path / "before", move.before["app.py"], original) as before,
        gunicorn(tmp_path / "after", move.after["app.py"], environment(redis_url)) as after,
    ):
        for number in range(12):
            for address in (before, after):
                assert httpx.get(f"{address}/order/{'odd' if number % 2 else 'even'}").status_code == 200
        expected = series_of(httpx.get(f"{before}/metrics").text)
        assert ("orders_total", frozenset({("kind", "odd")})) in expected
        deadline_s = time.monotonic() + 10
        while True:
            moved = series_of(httpx.get(f"{after}/metrics", headers={"Authorization": "Bearer t"}).text)
            if expected.items() <= moved.items() or time.monotonic() > deadline_s:
                break
            time.sleep(0.05)
        assert {key: moved.get(key) for key in expected} == expected


class _Gateway(BaseHTTPRequestHandler):
    """Keeps what is pushed: the path, which has the job and the grouping key, and the series."""

    pushed: list[tuple[str, str]]

    def do_PUT(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.pushed.append((self.path, text))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


async def test_a_job_shows_the_series_that_it_pushed(start: Start, redis_url: str, tmp_path: Path) -> None:
    """The page has the names that the Pushgateway had, with the job and the grouping key as labels; counters go on."""
    [move] = moves("From the Pushgateway")
    pushed: list[tuple[str, str]] = []
    gateway = HTTPServer(("127.0.0.1", 0), type("Gateway", (_Gateway,), {"pushed": pushed}))
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    before = move.before["app.py"].replace("127.0.0.1:9091", f"127.0.0.1:{gateway.server_port}")
    try:
        for text in (before, move.after["app.py"], move.after["app.py"]):
            (tmp_path / "job.py").write_text(text)
            await asyncio.to_thread(
                subprocess.run, [sys.executable, "job.py"], cwd=tmp_path, env=environment(redis_url), check=True
            )
    finally:
        gateway.shutdown()
        gateway.server_close()
    [(path, text)] = pushed
    assert path == "/metrics/job/import/shop/north"
    names = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    counted = await samples(start(redis_url).store, "import")
    assert {f'{name}{{job="import",shop="north"}}' for name in names if not name.endswith("_created")} == set(counted)
    assert counted['import_rows_total{job="import",shop="north"}'] == 2 * 42
    assert abs(counted['import_last_success_timestamp_seconds{job="import",shop="north"}'] - time.time()) < 60


def test_each_word_of_the_pushgateway_has_one_of_ours() -> None:
    """The table has the functions and parameters of prometheus_client that push."""
    functions: list[Callable[..., Any]] = [
        prometheus_client.exposition.push_to_gateway,
        prometheus_client.exposition.pushadd_to_gateway,
        prometheus_client.exposition.delete_from_gateway,
        prometheus_client.exposition.instance_ip_grouping_key,
    ]
    words = {function.__name__ for function in functions}
    words |= {name for function in functions for name in inspect.signature(function).parameters} - {"gateway"}
    table = section("From the Pushgateway").partition("| Pushgateway | here |")[2]
    firsts = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert words <= {word for first in firsts for word in re.findall(r"`(\w+)", first)}
