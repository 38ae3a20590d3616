"""Fixtures for all tests: a real, empty Redis, a client of it, and a proxy in front of it."""

from __future__ import annotations

import functools
import gc
import logging
import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx._transports.default as httpx_transports
import pytest
import redis

from lib.kairo_metrics.dev.private_redis import private_redis
from tests.support.aws_account import aws, refusing_aws, silent_aws, store, vault
from tests.support.command_run import command
from tests.support.doctor_run import doctor
from tests.support.examples import FUZZ
from tests.support.fresh_catalogue import fresh_catalogue
from tests.support.instance import Instance, Start, redis_instance
from tests.support.once import once
from tests.support.poisoned import cms
from tests.support.ports import free_port
from tests.support.postgres_server import postgres_server, running_postgres
from tests.support.proxy import Proxy
from tests.support.recording import recording
from tests.support.warp import loop

# Fixtures from the modules of their servers, and a Hypothesis profile that must exist before the tests are loaded.
__all__ = [
    "FUZZ",
    "aws",
    "cms",
    "command",
    "doctor",
    "fresh_catalogue",
    "loop",
    "once",
    "postgres_server",
    "recording",
    "refusing_aws",
    "running_postgres",
    "silent_aws",
    "store",
    "vault",
]

# Programs of users, which their tests import when they need them: no tests, and no examples in docstrings.
collect_ignore = ["support/django_shop", "support/late_shop.py"]

# Objects made by imports are never freed, so the garbage collector need not walk them again and again.
gc.disable()

# httpx.get reads all certificate authorities for each request, which takes 20 ms, and most requests have no TLS.
httpx_transports.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]

# The files that take longest are begun first: a worker takes a whole file, and none is to be left with a long one.
_LONGEST = [
    "system/prometheus/test_receivers",
    "system/prometheus/test_pushes",
    "system/prometheus/test_end_to_end",
    "deployment/platform/test_vercel_flush",
    "system/test_serve",
    "faults/test_rollback_prometheus",
    "faults/test_cluster",
    "system/guide/test_followed",
    "system/prometheus/test_samples",
    "deployment/scrapers/test_prometheus_scrape",
    "contracts/test_entry_points",
    "system/doctor/test_refusals",
    "system/dev/test_dashboard_page",
    "system/dev/test_dev_server",
    "system/prometheus/test_hostile_registries",
    "system/prometheus/test_rules",
    "system/test_wrong_settings",
    "system/dev/test_dashboard",
    "system/hosting/test_every_form",
    "unit/integrations/test_http_clients",
    "system/cli/test_init",
    "unit/integrations/test_observing",
    "deployment/platform/test_lambda_instance",
    "unit/integrations/test_django",
    "system/dev/test_endings",
    "system/test_secrets",
    "faults/test_server_run",
    "unit/cms/test_routes",
    "system/test_metrics_endpoint",
    "system/cli/test_series_and_show",
    "contracts/test_poisoned_lines",
    "faults/soak/test_soak",
    "unit/endpoints/test_token_sources",
    "deployment/platform/test_lambda_token",
    "faults/test_processes",
    "contracts/test_poisoned_index",
    "system/cli/test_every_kind",
    "faults/chaos/test_chaos",
    "system/prometheus/test_native_histograms",
    "system/guide/test_blocks",
]
_ORDER = {Path(__file__).parent / f"{name}.py": place for place, name in enumerate(_LONGEST)}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _ORDER.get(item.path, len(_ORDER)))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _log() -> None:
    """Let each test hear the package's log, whatever a server or a framework of an earlier test has set up."""
    logging.disable(logging.NOTSET)
    log = logging.getLogger("kairo_metrics")
    log.disabled, log.propagate = False, True
    log.setLevel(logging.NOTSET)


@pytest.fixture(scope="session", autouse=True)
def _no_dev_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no command of a test find a dev server that the user of this machine runs."""
    os.environ["XDG_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("runtime"))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Give the URL of one real Redis for the whole run; tests use `redis_url`, which empties it first."""
    with private_redis(free_port()) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Give the URL of a real Redis that is empty, knows no script and counts commands from zero."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        client.script_flush()
        client.config_resetstat()
    return redis_server


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """Give a client of the Redis of this test."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    """Give a proxy in front of the Redis of this test; its `url` is for the client."""
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Give a function that starts an instance against a Redis URL; all are closed after the test."""
    instances: list[Instance] = []

    def start_one(redis_url: str, **changes: Any) -> Instance:
        instances.append(redis_instance(redis_url, **changes))
        return instances[-1]

    yield start_one
    for instance in instances:
        await instance.close()


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    # An expected failure is reported as a skip, too, but is allowed.
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} may not be skipped when CI=true: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skip(report)
    return report
