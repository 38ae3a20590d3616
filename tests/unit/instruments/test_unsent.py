"""What of a registry is not sent is logged in a process that makes no page."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.variants import variants

pytestmark = pytest.mark.slow

PROGRAM = """
import logging, sys
from prometheus_client import REGISTRY, CollectorRegistry, Counter, PlatformCollector
from lib.kairo_metrics import Settings, install, instrument, metrics_app, metrics_wsgi_app, push_app
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
from lib.kairo_metrics.testing import MemoryStore
from tests.support.collectors import Stock

logging.basicConfig(format="LOG %(message)s", stream=sys.stdout)
settings = Settings(enabled=ENABLED, auth_tokens=("t" * 40,))
own = CollectorRegistry()
async def app(scope, receive, send): ...
"""
OTHER = "class Other(Stock): pass\n"


def logged(code: str, *, enabled: bool = True) -> list[str]:
    """Run a program of its own, and return the lines that it logs."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("ENABLED", str(enabled)) + OTHER + code],
        env={**os.environ, "ENABLE_METRICS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [line.removeprefix("LOG ") for line in ran.stdout.splitlines()]


def test_the_log_names_each_collector_that_is_not_sent_once() -> None:
    """Collectors of both registries, from before and after `instrument`, are named by their class, and what to do."""
    lines = logged(
        "REGISTRY.register(Stock()); own.register(Stock()); own.register(Other())\n"
        "instrument(app, settings=settings, registry=own); instrument(app, settings=settings)\n"
        "class Later(Stock): pass\n"
        "REGISTRY.register(Later())"
    )
    advice = (
        " is not sent by this process, which serves no metrics page. Register it in the function that serves the page, "
        "and only there"
    )
    names = ["tests.support.collectors.Stock", "__main__.Other", "__main__.Later"]
    assert sorted(lines) == sorted(f"the collector {name}{advice}" for name in names)


EXPECTED_NOWHERE = {
    "of a private registry": "CollectorRegistry(target_info={'a': 'b'}); instrument(app, settings=settings)",
    "with a page": "REGISTRY.set_target_info({'a': 'b'}); metrics_app(settings=settings)",
    "none": "REGISTRY.set_target_info(None); instrument(app, settings=settings); REGISTRY.set_target_info(None)",
}


@pytest.mark.parametrize("case", variants(EXPECTED_NOWHERE, ["with a page"]))
def test_no_line_tells_of_a_target_info_that_is_nowhere_expected(case: str) -> None:
    """That of a registry that is not published, and that of a process with a page, are not logged."""
    assert logged(EXPECTED_NOWHERE[case]) == []


NOT_SENT = {
    "before": "REGISTRY.set_target_info({'a': 'b'}); instrument(app, settings=settings)",
    "after": "instrument(app, settings=settings); [REGISTRY.set_target_info({'a': value}) for value in 'bc']",
    "without an app": "open_pipeline(settings, MemoryStore(settings)); install(); REGISTRY.set_target_info({'a': 'b'})",
    "in an argument": "instrument(app, settings=settings, registry=CollectorRegistry(target_info={'a': 'b'}))",
}


@pytest.mark.parametrize("case", variants(NOT_SENT, ["after"]))
def test_the_log_says_once_that_a_target_info_is_not_sent(case: str) -> None:
    """Whenever it is set."""
    [line] = logged(NOT_SENT[case])
    assert line.startswith("the target_info of a registry is not sent by this process")


WITH_A_PAGE = {
    "registered later": "metrics_app(settings=settings); REGISTRY.register(Stock())",
    "WSGI": "REGISTRY.register(Stock()); metrics_wsgi_app(settings=settings)",
    "own registry": "own.register(Stock()); metrics_app(settings=settings, registry=own)",
    "push": "REGISTRY.register(Stock()); push_app(settings=settings)",
    "in the app": "REGISTRY.register(Stock()); instrument(app, settings=settings, metrics_path='/metrics')",
    "beside the app": "REGISTRY.register(Stock()); metrics_app(settings=settings); instrument(app, settings=settings)",
    "without metrics": "REGISTRY.register(Stock())",
}


@pytest.mark.parametrize("case", variants(WITH_A_PAGE, ["registered later", "in the app"]))
def test_where_the_page_is_made_nothing_is_logged(case: str) -> None:
    """There a collector runs for each page."""
    assert logged(WITH_A_PAGE[case]) == []


def test_the_default_collectors_are_not_logged() -> None:
    """Each program has them, and none has asked for them; one that it has made itself it has asked for."""
    assert logged("instrument(app, settings=settings)") == []
    [line] = logged("instrument(app, settings=settings, registry=own); PlatformCollector(registry=own)")
    assert "prometheus_client.platform_collector.PlatformCollector" in line


def test_nothing_is_logged_while_metrics_are_off() -> None:
    """Then nothing is sent at all."""
    assert logged("REGISTRY.register(Stock()); instrument(app, settings=settings)", enabled=False) == []


def test_what_is_no_registry_is_refused_by_the_page_as_by_the_others() -> None:
    """The argument is checked before anything else, with metrics on and off."""
    code = (
        "for build in (metrics_app, metrics_wsgi_app, push_app):\n"
        "    try: build(settings=settings, registry=REGISTRY.collect)\n"
        "    except TypeError as err: print(err)"
    )
    for enabled in (True, False):
        lines = logged(code, enabled=enabled)
        assert lines == [f"{name} takes registries, not method" for name in ("metrics_app", "metrics_app", "push_app")]
