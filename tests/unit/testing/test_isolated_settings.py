"""Settings, variables and the switch of metrics in the blocks of `isolated_metrics`."""

from __future__ import annotations

import os

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lib.kairo_metrics import (
    RequestOptions,
    Settings,
    install,
    instrument,
    measured,
)
from lib.kairo_metrics.testing import MemoryStore, counted, isolated_metrics
from tests.support.isolated_program import OWN, SOLD, nightly


@pytest.fixture(autouse=True)
def _install() -> None:
    install(OWN)  # as the user's module does, with metrics off


def test_two_settings_two_stores_and_two_prefixes_in_one_test() -> None:
    """Calls of `instrument` in a test may differ in what a process has once; the last ones count."""
    with isolated_metrics() as metrics:
        first = instrument(Starlette(), settings=Settings(enabled=True, namespace="first"), prefix="first_")
        second = instrument(Starlette(), settings=Settings(enabled=True, max_series=1, shards=4), prefix="second_")
        for app in (first, second, second):
            TestClient(app).get("/")
        assert (counted("first_http_requests_total"), counted("second_http_requests_total")) == (1, 2)
        assert metrics.settings.max_series == 1
        SOLD.labels("book").inc()
        SOLD.labels("map").inc()
        assert counted("iso_sold_total", kind="__overflow__") > 0
        store = MemoryStore(Settings())
        third = instrument(Starlette(), store=store)
        TestClient(third).get("/")
        assert metrics.store is store
        assert counted("second_http_requests_total") == 1


def test_settings_with_options() -> None:
    """A block may have the options of the deployment, and a call in it its own."""
    kept = instrument(Starlette())  # the program has chosen nothing
    options = RequestOptions(labels={"team": "shop"}, group_status=True, prefix="shop_", buckets={"function": [60]})
    chosen = Settings(enabled=True, options=options)
    with isolated_metrics(chosen):
        with measured("step"):
            pass
        TestClient(kept).get("/")
        assert counted("shop_http_requests_total", team="shop", status="4xx") == 1
        assert counted("shop_function_duration_seconds_bucket", function="step", le=60) == 1
        TestClient(instrument(Starlette(), settings=chosen)).get("/")
        assert counted("shop_http_requests_total", team="shop", status="4xx") == 2
        other = Settings(enabled=True, options=RequestOptions(labels={"tier": "gold"}))
        TestClient(instrument(Starlette(), settings=other)).get("/")
        assert counted("http_requests_total", tier="gold", status=404) == 1


@pytest.mark.usefixtures("fresh_catalogue")
def test_a_prefix_in_code_beats_that_of_settings() -> None:
    """A block has the names that the deployment has, also before the first request."""
    app = instrument(Starlette(), prefix="code_")
    with isolated_metrics(Settings(enabled=True, options=RequestOptions(prefix="set_"))):
        with measured("step"):
            pass
        TestClient(app).get("/")
        assert counted("code_http_requests_total") == counted("code_function_invocations_total") == 1


def test_metrics_off() -> None:
    """A test may see that nothing is counted while metrics are off."""
    with isolated_metrics(Settings(enabled=False)):
        app = Starlette()
        assert type(instrument(app)) is Starlette
        TestClient(app).get("/")
        nightly()
        assert (counted("http_requests_total"), counted("iso_sold_total")) == (0, 0)
    with isolated_metrics():
        assert instrument(app, settings=Settings(enabled=False)) is app
        TestClient(app).get("/")
        nightly()
        assert counted("http_requests_total") == counted("function_invocations_total") == 0


def test_the_environment() -> None:
    """Settings that a program reads itself have metrics on in a block; a variable that a test sets is put back."""
    before = dict(os.environ)
    with isolated_metrics():
        assert Settings.from_env().enabled
        os.environ["METRICS_NAMESPACE"] = "of-a-test"
        os.environ.pop("ENABLE_METRICS")
    assert dict(os.environ) == before
    with isolated_metrics(Settings(enabled=False)):
        assert not Settings.from_env().enabled
