"""The real programs that receive metrics: the installed Prometheus, and those that `make receivers` has fetched."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lib.kairo_metrics.config.push_settings import PROTOCOLS
from tests.support.dev_server import REPOSITORY
from tests.support.ports import free_port
from tests.support.prometheus_server import PrometheusServer, prometheus_server, require, running_server

__all__ = ["AGENT", "RECEIVERS", "Receiver", "fetched", "job_at", "victoria_metrics"]

AGENT = "vmagent"
_FETCHED = REPOSITORY / "build" / "receivers"
# The features of a version that metrics of functions profit from.
_FEATURES = {
    "2.42": "exemplar-storage,native-histograms",
    "2.53": "exemplar-storage,native-histograms,created-timestamp-zero-ingestion",
    "3.5": "exemplar-storage,native-histograms,created-timestamp-zero-ingestion",
}
_INTERVAL = "2s"
_SUITES = {"2.53": "trixie", "3.5": "forky"}


def fetched(suite: str, program: str) -> str:
    """Return the path of a program that `make receivers` has fetched, or skip the test."""
    path = _FETCHED / suite / program
    if not path.exists():
        pytest.skip("run make receivers")
    return str(path)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A program that scrapes pages and accepts pushes.

    Args:
        name: its name and version.
        start: starts it with a folder of its own, scrape configurations, files with rules, the time between scrapes.
        protocols: what it accepts pushes in, by METRICS_PUSH_PROTOCOL.
    """

    name: str
    start: Callable[..., AbstractContextManager[PrometheusServer]]
    protocols: Sequence[str] = ("remote-write", "remote-write-1")


def _prometheus(version: str) -> Receiver:
    @contextlib.contextmanager
    def start(
        folder: Path, jobs: Sequence[Mapping[str, Any]] = (), rules: Sequence[Path] = (), interval: str = _INTERVAL
    ) -> Iterator[PrometheusServer]:
        program = fetched(_SUITES[version], "prometheus") if version in _SUITES else require("prometheus")
        flags = ["--web.enable-remote-write-receiver", f"--enable-feature={_FEATURES[version]}"]
        with prometheus_server(folder, json.dumps(jobs), interval, flags, rules, program=program) as server:
            yield server

    return Receiver(f"Prometheus {version}", start)


@contextlib.contextmanager
def victoria_metrics(config: Path, *flags: str) -> Iterator[PrometheusServer]:
    """Run VictoriaMetrics with a scrape configuration until the block ends; its data go beside the file."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        fetched("forky", "victoria-metrics"),
        f"-httpListenAddr={address}",
        f"-storageDataPath={config.parent / 'victoria-data'}",
        f"-promscrape.config={config}",
        # By default a query does not see the last 30 seconds.
        "-search.latencyOffset=0s",
        "-search.disableCache",
        *flags,
    ]
    with running_server(command, f"http://{address}", config.parent / "victoria.log", "/health") as server:
        yield server


@contextlib.contextmanager
def _victoria_metrics(
    folder: Path, jobs: Sequence[Mapping[str, Any]] = (), rules: Sequence[Path] = (), interval: str = _INTERVAL
) -> Iterator[PrometheusServer]:
    """Run VictoriaMetrics, and beside it vmagent, which scrapes the job of its name and sends it there."""
    assert not rules, "it evaluates no rules"
    configs = {}
    for name, is_for_agent in (("scrape.json", False), ("agent.json", True)):
        scraped = [
            {**job, "scrape_interval": interval, "scrape_timeout": interval}
            for job in jobs
            if (job["job_name"] == AGENT) == is_for_agent
        ]
        configs[name] = folder / name
        configs[name].write_text(json.dumps({"scrape_configs": scraped}))
    with victoria_metrics(configs["scrape.json"]) as server:
        address = f"127.0.0.1:{free_port()}"
        command = [
            fetched("forky", "vmagent"),
            f"-httpListenAddr={address}",
            f"-promscrape.config={configs['agent.json']}",
            f"-remoteWrite.url={server.url}/api/v1/write",
            f"-remoteWrite.tmpDataPath={folder / 'agent-data'}",
        ]
        with running_server(command, f"http://{address}", folder / "agent.log", "/health"):
            yield server


RECEIVERS = {
    receiver.name: receiver
    for receiver in (
        *map(_prometheus, _FEATURES),
        Receiver("VictoriaMetrics 1.145", _victoria_metrics, PROTOCOLS),
    )
}


def job_at(port: int, name: str, token: str, **more: Any) -> dict[str, Any]:
    """Return the scrape configuration of a page on this machine.

    Args:
        port: of the server.
        name: the label `job`.
        token: the bearer token.
        more: further settings of the job.
    """
    return {
        "job_name": name,
        "metrics_path": "/api/metrics",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        "authorization": {"credentials": token},
        **more,
    }
