"""Our own instruments: in a registry of ours, built when they are needed, under the prefix that the program gives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lib.kairo_metrics.instruments.catalogue import may_be_ours
from lib.kairo_metrics.instruments.declarations import DECLARATIONS
from lib.kairo_metrics.model.delivery_metrics import SCHEMAS

pytestmark = pytest.mark.slow

# Everything of the package that a deployment may import, and its functions.
IMPORTS = """
import importlib, pkgutil, sys
from prometheus_client import REGISTRY, generate_latest

before = set(REGISTRY._names_to_collectors)
from lib.kairo_metrics import aflush, flush, install, instrument, metrics_app, push_app
from lib.kairo_metrics import endpoints
for module in pkgutil.iter_modules(endpoints.__path__, endpoints.__name__ + "."):
    importlib.import_module(module.name)
from lib.kairo_metrics.integrations.sqlalchemy import observe

def added():
    return sorted(set(REGISTRY._names_to_collectors) - before)
"""
OFF = """
from sqlalchemy import create_engine, text

async def app(scope, receive, send): ...

assert instrument(app) is app
install()
flush()
metrics_app()
push_app()
engine = create_engine("sqlite://")
observe(engine)
with engine.connect() as connection:
    assert connection.execute(text("SELECT 1")).scalar() == 1
assert added() == [], added()
for function in ("content", "health", "metrics", "push"):
    importlib.import_module(f"api.{function}")
# The program's own counter.
assert added() == ["content_published", "content_published_created", "content_published_total"], added()
assert b"http_requests" not in generate_latest() and b"kairo_" not in generate_latest()
"""
ON = """
from lib.kairo_metrics.instruments.catalogue import OWN, built, catalogue
from lib.kairo_metrics.instruments.delivery_instruments import DeliveryInstruments
from lib.kairo_metrics.instruments.query_instruments import QueryInstruments
from lib.kairo_metrics.instruments.request_instruments import RequestInstruments

async def app(scope, receive, send): ...

assert OWN._names_to_collectors == {}
instrument(app)
instrument(app)
metrics_app()
push_app()
assert added() == [], added()
assert b"http_requests" not in generate_latest() and b"kairo_" not in generate_latest()
assert built(RequestInstruments) is None  # the first response needs them, once it has left
catalogue(RequestInstruments)
assert added() == [] and b"http_requests" not in generate_latest()
page = generate_latest(OWN).decode()
for family in ("http_requests_total", "http_request_duration_seconds", "api_errors_total"):
    assert f"# TYPE {family} " in page, family
# Nothing has needed these yet.
assert built(QueryInstruments) is None and built(DeliveryInstruments) is None
assert catalogue(DeliveryInstruments) is catalogue(DeliveryInstruments)
assert "# TYPE kairo_pushes_total counter" in generate_latest(OWN).decode()
"""
READ = """
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, text
from lib.kairo_metrics import Settings
from lib.kairo_metrics.testing import MemoryStore

settings = Settings(enabled=True, auth_tokens=("t",), redis_url="redis://127.0.0.1:1")
store = MemoryStore(settings)
import asyncio, httpx

async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

def answer(served):
    async def get():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://x") as client:
            return (await client.get("/", headers={"Authorization": "Bearer t"})).text
    return asyncio.run(get())

def page():
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer(metrics_app(settings=settings, store=store)))
        for sample in family.samples
        if not sample.name.startswith("kairo_")
    }

def query():
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))

engine = create_engine("sqlite://")
"""
EARLY = """
observe(engine)
query()
metrics_app(settings=settings, store=store)
query()
assert page()["tenant_db_query_duration_seconds_count"] == 2, page()
"""
PREFIXED = """
observe(engine)
query()
metrics_app(settings=settings, store=store)
query()
instrumented = instrument(app, settings=settings, store=store, prefix="cms_")
answer(instrumented)
query()
answer(instrument(app))  # has the prefix as well
shown = page()
assert shown["cms_http_requests_total"] == 2, shown
assert shown["cms_http_request_duration_seconds_count"] == 2, shown
assert shown["cms_api_errors_total"] == 0, shown
assert shown["cms_tenant_db_query_duration_seconds_count"] == 3, shown
assert all(name.startswith("cms_") for name in shown), shown
from lib.kairo_metrics.instruments.catalogue import OWN, catalogue
from lib.kairo_metrics.instruments.delivery_instruments import DeliveryInstruments
catalogue(DeliveryInstruments).pushes.labels("done").inc()
assert OWN.get_sample_value("kairo_pushes_total", {"outcome": "done"}) == 1
"""
PREFIX_OF_A_SCRIPT = """
metrics_app(settings=settings, store=store)
install(prefix="nightly_")
observe(engine)
query()
assert page()["nightly_tenant_db_query_duration_seconds_count"] == 1, page()
assert "tenant_db_query_duration_seconds_count" not in page()
"""
INTERRUPTED = """
from lib.kairo_metrics.instruments import catalogue as module
from lib.kairo_metrics.instruments.request_instruments import RequestInstruments

build = module.build

def interrupted(declaration):
    module.build = build
    module.catalogue(RequestInstruments)  # as a signal handler would, in the same thread
    return build(declaration)

module.build = interrupted
labels = {"method": "GET", "route": "/", "type": "http_500"}
module.catalogue(RequestInstruments).members[-1].labels(**labels).inc()
assert module.OWN.get_sample_value("api_errors_total", labels) == 1
"""


def _ran(program: str, enabled: str = "true") -> None:
    settings = {"ENABLE_METRICS": enabled, "REDIS_URL": "redis://127.0.0.1:1", "METRICS_AUTH_TOKEN": "t"}
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS + program],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(("program", "enabled"), [(OFF, "false"), (ON, "true")], ids=["metrics off", "metrics on"])
def test_the_programs_own_page_has_nothing_of_ours(program: str, enabled: str) -> None:
    """`generate_latest()` of the program shows its own metrics alone, whether metrics are on or off."""
    _ran(program, enabled)


def test_queries_before_the_first_app_are_counted() -> None:
    """What an observed engine does before `install` is on the page, together with what it does later."""
    _ran(READ + EARLY)


def test_one_prefix_stands_before_all_our_names() -> None:
    """`prefix="cms_"` names requests, errors and queries, also those counted before; `kairo_` names stay."""
    _ran(READ + PREFIXED)


def test_a_script_gives_its_prefix_to_install() -> None:
    """Without an app, `install(prefix=...)` names what an observed engine does."""
    _ran(READ + PREFIX_OF_A_SCRIPT)


def test_a_signal_handler_may_build_the_instruments_meanwhile() -> None:
    """A handler that counts a request while the thread below it counts the first gets the same instruments."""
    _ran(INTERRUPTED)


NAMES = [*(one.name for group in DECLARATIONS.values() for one in group), *(schema.name for schema in SCHEMAS)]


@pytest.mark.parametrize("name", NAMES)
def test_each_of_our_names_gets_a_closer_look(name: str) -> None:
    """No instrument of a program takes a name of ours unseen, with the prefix of ours or without it."""
    assert may_be_ours(name, "")
    assert may_be_ours(name.removesuffix("_total"), "shop_")
    assert may_be_ours(f"shop_{name}", "shop_")
    assert may_be_ours(f"shop{name}_created", "shop")


@pytest.mark.parametrize("name", ["orders_total", "shop_orders", "https_requests", "my_http_requests"])
def test_other_names_cost_a_cold_start_nothing(name: str) -> None:
    """What begins with another word is known at once to be the program's."""
    assert not may_be_ours(name, "shop_")
