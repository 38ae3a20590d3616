"""The real Prometheus and promtool; tests that use them are skipped if they are not installed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.ports import free_port


def require(program: str, package: str = "prometheus") -> str:
    """Return the path of a program such as `promtool`, or skip the test and name its Debian package."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"install Debian's package {package}")
    return found


class PrometheusServer:
    """A running Prometheus, asked through its HTTP API.

    Args:
        url: its base address.
        log: the file with its output.
    """

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def query(self, promql: str, at_s: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query, by default now: `[{"metric": {...}, "value": [time, text]}, ...]`."""
        at = {} if at_s is None else {"time": str(at_s)}
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": promql, **at})
        answer.raise_for_status()
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def value(self, promql: str, at_s: float | None = None) -> float | None:
        """Return the number of a query with one result, or None if it has no result."""
        result = self.query(promql, at_s)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None

    def rules(self) -> dict[str, dict[str, Any]]:
        """Return the rules by name, each with its `health` and `lastError`."""
        groups = httpx.get(f"{self.url}/api/v1/rules").json()["data"]["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def targets(self) -> list[dict[str, Any]]:
        """Return the active targets, each with its `health` and `lastError`."""
        targets: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v1/targets").json()["data"]["activeTargets"]
        return targets

    def wait_for(self, condition: Callable[[], bool], timeout_s: float = 30) -> None:
        """Wait until `condition` holds, for example until a scrape has the last request."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"targets: {self.targets()}\n{self._log.read_text()[-2000:]}"
            time.sleep(0.1)


@contextlib.contextmanager
def prometheus_server(  # noqa: PLR0913, PLR0917  what tests differ in
    folder: Path,
    scrape_configs: str = "[]",
    interval: str = "1s",
    flags: Sequence[str] = (),
    rules: Sequence[Path] = (),
    program: str = "",
) -> Iterator[PrometheusServer]:
    """Run Prometheus on a free port of the loopback address until the block ends.

    Args:
        folder: for its configuration, storage and log.
        scrape_configs: a YAML list, as it stands below `scrape_configs:`.
        interval: replaces every scrape interval and timeout in it, so that a test need not wait.
        flags: more arguments for the command line.
        rules: files with rules.
        program: another Prometheus than the installed one.
    """
    jobs = [{**job, "scrape_interval": interval, "scrape_timeout": interval} for job in yaml.safe_load(scrape_configs)]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": jobs, "rule_files": [str(file) for file in rules]}))
    with prometheus_with(config, *flags, program=program) as server:
        yield server


@contextlib.contextmanager
def prometheus_with(config: Path, *flags: str, login: str = "", program: str = "") -> Iterator[PrometheusServer]:
    """Run Prometheus with an unchanged configuration on a free port of the loopback address until the block ends.

    Args:
        config: the file; storage and log go beside it.
        flags: more arguments for the command line.
        login: user and password with a colon between them, if the flags demand a login.
        program: another Prometheus than the installed one.
    """
    address = f"127.0.0.1:{free_port()}"
    command = [
        program or require("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={config.parent / 'prometheus-data'}",
        f"--web.listen-address={address}",
        *flags,
    ]
    url = f"http://{login}@{address}" if login else f"http://{address}"
    with running_server(command, url, config.parent / "prometheus.log", "/-/ready") as server:
        yield server


@contextlib.contextmanager
def running_server(command: Sequence[str], url: str, log: Path, ready: str) -> Iterator[PrometheusServer]:
    """Run a program with Prometheus' API until the block ends.

    Args:
        command: its command line.
        url: its base address.
        log: the file for its output.
        ready: the path that answers with success once it is ready.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(process, url + ready, log)
        yield PrometheusServer(url, log)
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, f"the server ended:\n{log.read_text()[-2000:]}"
        assert time.monotonic() < deadline, f"the server is not ready:\n{log.read_text()[-2000:]}"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(address).is_success:
                return
        time.sleep(0.05)
