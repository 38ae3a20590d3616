"""Apps that another library measures, too, under names of which some are ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from tests.support.dev_server import REPOSITORY
from tests.support.variants import variants

PROGRAM = """
import asyncio, json, logging, sys
import httpx
from fastapi import FastAPI
from prometheus_client import REGISTRY, Counter, generate_latest
from prometheus_fastapi_instrumentator import Instrumentator
from starlette_exporter import PrometheusMiddleware
from lib.kairo_metrics import Settings, instrument, metrics_app
from lib.kairo_metrics.testing import MemoryStore

logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
enabled = sys.argv[1] == "on"
settings = Settings(enabled=enabled, auth_tokens=("t",))
store = MemoryStore(settings)
app = FastAPI()
ORDERS = Counter("orders_total", "Theirs.")

@app.get("/items/{item}")
def item(item: int):
    ORDERS.inc()
    return item

def instrument_ours():
    global app
    app = instrument(app, settings=settings, store=store)

if "ours first" in sys.argv:
    instrument_ours()
Instrumentator().instrument(app).expose(app, endpoint="/theirs")
app.add_middleware(PrometheusMiddleware, app_name="shop", group_paths=True)
if "ours first" not in sys.argv:
    instrument_ours()

async def get(served, path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://shop.example.org") as client:
        return (await client.get(path, headers={"Authorization": "Bearer t"})).text

async def main():
    for number in range(3):
        await get(app, f"/items/{number}")
    pages = {
        "theirs": await get(app, "/theirs"),
        "own": generate_latest(REGISTRY).decode(),
        "ours": await get(metrics_app(settings=settings, store=store), "/"),
    }
    print(json.dumps({name: [line for line in page.splitlines() if line[:1] != "#"] for name, page in pages.items()}))

asyncio.run(main())
"""
# What the others have counted; the names of the first two are ours.
OTHERS = (
    'http_requests_total{handler="/items/{item}",method="GET",status="2xx"} 3.0',
    'http_request_duration_seconds_count{handler="/items/{item}",method="GET"} 3.0',
    'http_request_size_bytes_count{handler="/items/{item}"} 3.0',
    'http_response_size_bytes_count{handler="/items/{item}"} 3.0',
    'starlette_requests_total{app_name="shop",method="GET",path="/items/{item}",status_code="200"} 3.0',
)


@cache
def _pages(*arguments: str) -> tuple[dict[str, Any], list[str]]:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if "METRICS" not in name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), [line for line in ran.stderr.splitlines() if line.startswith("kairo_metrics")]


@pytest.mark.parametrize("order", variants(["ours first", "ours last"], ["ours last"]))
@pytest.mark.parametrize("enabled", ["on", "off"])
def test_other_libraries_keep_all_of_their_metrics(enabled: str, order: str) -> None:
    """Whichever comes first, and with metrics on and off, the default registry has everything of the others."""
    pages, _ = _pages(enabled, order)
    for page in (pages["own"], pages["theirs"]):
        assert set(OTHERS) <= set(page)
        assert not [line for line in page if "route=" in line]


def test_the_page_has_ours_and_what_the_others_have_beside_it() -> None:
    """Ours are what the page shows under our names; the others' further metrics are there; the log tells the rest."""
    pages, log = _pages("on", "ours last")
    assert [line for line in pages["ours"] if line.startswith("http_requests_total")] == [
        'http_requests_total{method="GET",route="/items/{item}",status="200"} 3',
        'http_requests_total{method="GET",route="/theirs",status="200"} 1',
    ]
    durations = [line for line in pages["ours"] if line.startswith("http_request_duration_seconds")]
    assert durations
    assert not [line for line in durations if "handler=" in line]
    for beside in OTHERS[2:]:
        assert beside.removesuffix(".0") in pages["ours"]
    assert "orders_total 3" in pages["ours"]
    assert sorted(line.split()[3] for line in log) == ["http_request_duration_seconds", "http_requests_total"]
    assert all("is not sent" in line and "prefix=" in line for line in log)
