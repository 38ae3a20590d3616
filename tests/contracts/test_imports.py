"""Imports at a cold start: an expensive library is imported when it is first needed, not before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.slow

EXPENSIVE = {"boto3", "botocore", "google", "mangum", "opentelemetry", "redis", "sqlalchemy", "uvicorn"}

IMPORTED = """
import importlib, json, sys
importlib.import_module({module!r})
print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))
"""


@pytest.mark.parametrize("module", ["api.content", "api.health", "api.metrics", "api.push", "lib.kairo_metrics"])
def test_no_function_imports_an_expensive_library(module: str) -> None:
    """Loading a function brings in neither redis nor sqlalchemy nor boto3 nor protobuf, nor Lambda's Mangum."""
    assert EXPENSIVE.isdisjoint(_printed(IMPORTED.format(module=module)))


def test_on_lambda_the_handler_is_ready_before_the_first_event() -> None:
    """On AWS Lambda the init phase imports Mangum, so that the first request does not wait for it."""
    loaded = _printed(IMPORTED.format(module="api.content"), AWS_LAMBDA_RUNTIME_API="127.0.0.1:9001")
    assert EXPENSIVE & set(loaded) == {"mangum"}


FIRST_REQUEST = """
import asyncio, json, sys
from lib.kairo_metrics import instrument
loaded = []

async def app(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"hello"}})

async def send(message):
    loaded.append(FLUSHER in sys.modules)

async def receive(): ...

FLUSHER = "lib.kairo_metrics.delivery.flusher"
app = instrument(app)
{more}
loaded.append(FLUSHER in sys.modules)
asyncio.run(app({{"type": "http", "method": "GET", "path": "/", "headers": []}}, receive, send))
loaded.append(FLUSHER in sys.modules)
print(json.dumps(loaded))
"""


@pytest.mark.parametrize(
    ("more", "loaded"),
    [
        ("", [False, False, False, True]),
        ("from lib.kairo_metrics import lambda_handler; lambda_handler(app)", [True, True, True, True]),
    ],
    ids=["elsewhere", "on Lambda"],
)
def test_no_response_waits_for_what_only_a_flush_needs(more: str, loaded: list[bool]) -> None:
    """What flushes is imported after the first response; on AWS Lambda, where it comes first, in the init phase."""
    environment = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"} if more else {}
    assert _printed(FIRST_REQUEST.format(more=more), **environment) == loaded


PUSHING = """
import json, sys, time
from lib.kairo_metrics.config.push_settings import PushSettings
from lib.kairo_metrics.endpoints.push_packages import push_flaw
from lib.kairo_metrics.endpoints.pusher import Pusher
from lib.kairo_metrics.exposition.page import Page
settings = PushSettings(protocol={protocol!r}, url="http://127.0.0.1:1", otlp_url="http://127.0.0.1:1")
assert not push_flaw(settings.protocol)
Pusher(settings).push(Page(), time.monotonic() + 1)
print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))
"""


@pytest.mark.parametrize(
    ("protocol", "loaded"),
    [("remote-write", {"google"}), ("remote-write-1", {"google"}), ("otlp", {"google", "opentelemetry"})],
)
def test_a_push_imports_what_its_protocol_needs(protocol: str, loaded: set[str]) -> None:
    """Remote write loads nothing of OpenTelemetry, and only a signed request loads AWS' SDK."""
    assert EXPENSIVE & set(_printed(PUSHING.format(protocol=protocol))) == loaded


def _printed(code: str, **more: str) -> list[Any]:
    """Run a program with metrics on, and return the list that it prints."""
    settings = {"ENABLE_METRICS": "true", "REDIS_URL": "redis://127.0.0.1:1", "METRICS_AUTH_TOKEN": "t"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **settings, **more}, capture_output=True, text=True, check=True
    )
    printed: list[Any] = json.loads(ran.stdout)
    return printed


# A function as the platform's server loads it, with prometheus_client and without our metrics.
PLAIN = """
import asyncio, json, logging, sys
import prometheus_client
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
app = Starlette()
{more}
print(json.dumps(sorted(sys.modules)))
"""
INSTRUMENT = "from lib.kairo_metrics import instrument; app = instrument(app)"
COUNTER = "prometheus_client.Counter('jobs', 'Jobs.', ['queue'])"
METRICS_APP = "from lib.kairo_metrics import metrics_app; app = metrics_app()"

# Each module costs a millisecond or two of every cold start: add one only if it is worth that.
WRITING = """
    errors config config.environment config.settings
    instruments instruments.adoption instruments.catalogue instruments.child_limits instruments.shape
    delivery delivery.loop_ticker delivery.pipeline delivery.process_pipeline
    model model.fork_locks model.made_late
"""
# What an instrument of the program's own adds.
COUNTING = """
    instruments.children instruments.pending_series instruments.recorder instruments.sharing
    instruments.values instruments.values.counter instruments.values.exemplar instruments.values.observation
    instruments.values.replaced_value instruments.values.value
    model.delivery_metrics model.encoding model.moment model.schema
"""
# What measures an ASGI app, and knows its framework, here Starlette.
MEASURING = """
    entrypoints entrypoints.asgi entrypoints.calls entrypoints.http_record entrypoints.in_place entrypoints.interfaces
    entrypoints.request_rules entrypoints.traces instruments.current_call
    frameworks frameworks.facts frameworks.hooks frameworks.route frameworks.starlette_app
    frameworks.starlette_templates frameworks.watch
"""
READING = """
    delivery.breaker delivery.flush_lock delivery.flusher delivery.group_commit delivery.loop_tasks
    store store.command_flow store.redis_store
    instruments.declaration instruments.delivery_instruments instruments.pending_series instruments.recorder
    endpoints endpoints.apps endpoints.bearer_auth endpoints.explanations endpoints.gzip_encoding
    endpoints.metrics_endpoint endpoints.token_cache endpoints.token_sources
    scrape scrape.assemble scrape.clashes scrape.collector scrape.decode scrape.expired_series scrape.merge
    scrape.page_order scrape.resolve scrape.rollback scrape.rollback.high_water scrape.selection
    scrape.self_metrics scrape.state_reader
    model.batch model.delivery_metrics model.encoding model.labels model.leases model.merging model.moment
    model.recovery model.schema model.server_run model.snapshot
    exposition exposition.escaping exposition.family exposition.fitting exposition.names exposition.negotiate
    exposition.page
"""


@pytest.mark.parametrize(
    ("more", "added"),
    [
        (INSTRUMENT, WRITING + MEASURING),
        (f"{INSTRUMENT}; {COUNTER}", WRITING + MEASURING + COUNTING),
        (METRICS_APP, WRITING + READING),
    ],
)
def test_metrics_add_these_imports_to_a_function_and_no_others(more: str, added: str) -> None:
    """An instrumented function loads the writing half of the package, the metrics function both; no other library."""
    loaded = set(_printed(PLAIN.format(more=more))) - set(_printed(PLAIN.format(more="")))
    assert loaded == {"lib", "lib.kairo_metrics", *[f"lib.kairo_metrics.{module}" for module in added.split()]}


HEALTH = """
import asyncio, sys
import httpx
from api.health import app

async def main():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org") as client:
        for path in ("/api/health", "/api/health?ready=0", "/api/health/"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
        assert "redis" not in sys.modules
        answer = await client.get("/api/health?ready=1")
        assert (answer.status_code, answer.json()) == (503, {"status": "the metrics store does not answer"})
        assert (await client.post("/api/health")).status_code == 405

asyncio.run(main())
"""


def test_a_health_check_never_imports_redis_unless_asked_for_readiness() -> None:
    """Liveness does not import redis; readiness asks Redis, and its answer does not name the server's address."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": "redis://127.0.0.1:1"}
    subprocess.run([sys.executable, "-c", HEALTH], env=environment, check=True)


FLUSH = """
import sys
from prometheus_client import Counter
from lib.kairo_metrics import flush, install
install()
Counter("jobs", "Jobs.").inc()
flush()
assert "lib.kairo_metrics.store.connections.client" in sys.modules
for name in sys.modules:
    if name.startswith("lib.kairo_metrics.store"):
        print(name.removeprefix("lib.kairo_metrics."))
"""

# The modules of the store that a flush to one server loads.
FLUSHING = """
    store store.command_flow store.redis_store
    store.connections store.connections.client store.connections.client_pool store.connections.connection
    store.connections.connection_arguments store.connections.node_flow store.connections.node_request
    store.connections.packing store.connections.topology
    store.apply_batch store.keys store.replies store.script_call
"""


def test_a_flush_to_a_single_redis_loads_no_cluster_code(redis_url: str) -> None:
    """A flush to a single server imports no code for Cluster, for Sentinel or for reading pages."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": redis_url}
    ran = subprocess.run([sys.executable, "-c", FLUSH], env=environment, capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) == set(FLUSHING.split())
