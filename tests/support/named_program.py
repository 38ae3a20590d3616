"""A program with instruments of its own names, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PROGRAM", "run_program"]

PROGRAM = """
import asyncio, contextlib, logging, sys
from prometheus_client import (
    REGISTRY, CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary, generate_latest
)
from prometheus_client.core import CounterMetricFamily
from lib.kairo_metrics import KairoError, NativeHistogram, Settings, aflush, flush, install, instrument, metrics_app
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
from lib.kairo_metrics.testing import MemoryStore
from tests.support.instance import samples

logging.basicConfig(level=logging.INFO, format="LOG %(message)s", stream=sys.stdout)
settings = Settings(enabled=ENABLED)
store = MemoryStore(settings)
REQUEST = {"type": "http", "method": "GET", "path": "/", "headers": [], "http_version": "1.1"}
OURS = 'http_requests_total{method="GET",route="__unmatched__",status="200"}'

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

async def ignore(*_): ...

def request(served):
    asyncio.run(served(dict(REQUEST), ignore, ignore))

def sent(prefix):
    async def read():
        await aflush(strict=True)
        return await samples(store, prefix)
    return asyncio.run(read())

def refused(**options):
    try:
        instrument(app, settings=settings, store=store, **options)
    except ValueError as err:
        return str(err)
    raise AssertionError("accepted")
"""


def run_program(program: str, *, enabled: bool = True, variables: Mapping[str, str] = MappingProxyType({})) -> str:
    cleared = {name: value for name, value in os.environ.items() if "METRICS" not in name}
    ran = subprocess.run(
        [sys.executable, "-c", (PROGRAM + program).replace("ENABLED", str(enabled))],
        env={**cleared, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
