"""When the catalogue's metrics come into prometheus_client's default registry."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
async def app(scope, receive, send): ...

assert added() == []
instrument(app)
instrument(app)
metrics_app()
page = generate_latest().decode()
for family in (
    "http_requests_total", "http_request_duration_seconds", "api_errors_total", "tenant_db_query_duration_seconds",
    "kairo_token_reads_total", "kairo_pushes_total", "kairo_pushed_samples_total",
):
    assert f"# TYPE {family.removesuffix('_total')}" in page, family
"""
TAKEN = """
from prometheus_client import Counter
theirs = Counter("api_errors_total", "The program's own.")
theirs.inc()
for _ in range(2):
    try:
        install()
    except ValueError as err:
        assert "api_errors" in str(err), err
    else:
        raise AssertionError("no error")
assert added() == ["api_errors", "api_errors_created", "api_errors_total"], added()
assert REGISTRY.get_sample_value("api_errors_total") == 1
REGISTRY.unregister(theirs)
install()
assert "http_requests_total" in added()
"""


EARLY = """
from prometheus_client import REGISTRY
from sqlalchemy import create_engine, text
engine = create_engine("sqlite://")
observe(engine)
with engine.connect() as connection:
    connection.execute(text("SELECT 1"))
install()
labels = {"model": "raw", "operation": "select"}
assert REGISTRY.get_sample_value("tenant_db_query_duration_seconds_count", labels) == 1
"""
INTERRUPTED = """
from lib.kairo_metrics.instruments import catalogue as module

register = module._register

def interrupted(instruments):
    module._register = register
    install()  # as a signal handler would, in the same thread
    register(instruments)

module._register = interrupted
install()
install()
assert "http_requests_total" in added()
"""


@pytest.mark.parametrize(
    ("program", "enabled"),
    [(OFF, "false"), (ON, "true"), (TAKEN, "true"), (EARLY, "true"), (INTERRUPTED, "true")],
    ids=["metrics off", "metrics on", "a name is taken", "queries before the first app", "set up in a signal handler"],
)
def test_nothing_is_registered_before_metrics_are_on(program: str, enabled: str) -> None:
    """With metrics off a program's own page has nothing of ours, with metrics on it has the whole catalogue or none."""
    settings = {"ENABLE_METRICS": enabled, "REDIS_URL": "redis://127.0.0.1:1", "METRICS_AUTH_TOKEN": "t"}
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS + program],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
