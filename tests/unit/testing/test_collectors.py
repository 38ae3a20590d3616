"""Custom collectors in a user's tests: a block shows those that the page of the program shows."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterable, Iterator

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lib.kairo_metrics import instrument, metrics_app
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline
from lib.kairo_metrics.testing import counted, isolated_metrics, page
from tests.support.dev_server import REPOSITORY

AUTHORIZED = {"Authorization": "Bearer test"}


class QueueLength(Collector):
    """Counts the jobs that wait; it may fail."""

    def __init__(self) -> None:
        self.jobs: int | None = 7

    def describe(self) -> Iterable[Metric]:
        """Keep prometheus_client from calling `collect` at the registration."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Yield one family."""
        if self.jobs is None:
            raise ConnectionError("the queue is away")
        yield GaugeMetricFamily("queue_length", "Jobs that wait.", value=self.jobs)


@pytest.fixture
def queue() -> Iterator[QueueLength]:
    """Register a collector, as a module of the program does, and forget the program's page at the end."""
    close_pipeline()
    collector = QueueLength()
    REGISTRY.register(collector)
    yield collector
    REGISTRY.unregister(collector)
    close_pipeline()


def test_a_collector_of_the_program_is_counted_and_on_the_page(
    queue: QueueLength, caplog: pytest.LogCaptureFixture
) -> None:
    """In each block it is asked for each number, also where metrics were off, and no warning says it is not sent."""
    app = instrument(Starlette(), metrics_path="/metrics")
    for jobs in (7, 8):
        queue.jobs = jobs
        with caplog.at_level(logging.WARNING), isolated_metrics():
            assert counted("queue_length") == jobs
            assert f"queue_length {jobs}\n" in page()
            assert f"queue_length {jobs}\n" in page(openmetrics=True)
            assert f"queue_length {jobs}\n" in TestClient(app).get("/metrics", headers=AUTHORIZED).text
            with isolated_metrics():
                assert counted("queue_length") == jobs
    assert caplog.text == ""


def test_a_collector_that_fails_is_told_as_on_the_page(queue: QueueLength) -> None:
    """A test can show what happens while the collector's source is away."""
    metrics_app()
    queue.jobs = None
    with isolated_metrics():
        assert counted("kairo_collector_problems", reason="raised") == 1
        with pytest.raises(LookupError, match="queue_length"):
            counted("queue_length")


def test_a_page_that_is_made_in_the_block_runs_the_collectors(queue: QueueLength) -> None:
    """An app factory that is called in a test makes a page."""
    with isolated_metrics():
        instrument(Starlette(), metrics_path="/metrics")
        assert counted("queue_length") == queue.jobs


def test_a_registry_of_the_program_s_own(queue: QueueLength) -> None:
    """The collectors of a registry that the page was given run, too."""
    own = CollectorRegistry()
    REGISTRY.unregister(queue)
    own.register(queue)
    metrics_app(registry=own)
    with isolated_metrics():
        assert counted("queue_length") == queue.jobs
    REGISTRY.register(queue)


WITHOUT_A_PAGE = """
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from lib.kairo_metrics import instrument
from lib.kairo_metrics.testing import isolated_metrics, page
from tests.unit.testing.test_collectors import QueueLength

REGISTRY.register(QueueLength())
app = instrument(Starlette())
with isolated_metrics():
    print("queue_length" in page())
"""


def test_a_program_without_a_page_does_not_send_collectors() -> None:
    """Its numbers are not on the page of the deployment, so a test does not find them either; the log says why."""
    command = [sys.executable, "-c", WITHOUT_A_PAGE]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
    assert "QueueLength is not sent by this process, which serves no metrics page" in ran.stderr
