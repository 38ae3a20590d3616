"""Programs that look for an app in a user's module find the instrumented one, and what it serves is counted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.dev_server import REPOSITORY
from tests.support.host_server import starting_host_server
from tests.support.instance import samples, settings
from tests.support.variants import variants

SHOP = """
from fastapi import FastAPI
from flask import Flask
from lib.kairo_metrics import instrument

app = FastAPI() if "fast" in __file__ else Flask(__name__)

@app.get("/orders")
def orders():
    return ["toy"]

instrument(app)
"""
PYTHON = sys.executable
# The name of the module, and the command; "PORT" stands for the port.
LAUNCHERS = {
    "uvicorn": ("fast_shop", (PYTHON, "-m", "uvicorn", "fast_shop:app", "--port", "PORT")),
    "gunicorn": ("shop", (PYTHON, "-m", "gunicorn", "shop:app", "--bind", "127.0.0.1:PORT", "--no-control-socket")),
    "flask run": ("shop", (PYTHON, "-m", "flask", "--app", "shop", "run", "--port", "PORT")),
    "fastapi run": (
        "fast_shop",
        (PYTHON, "-m", "fastapi_cli", "run", "--host", "127.0.0.1", "--port", "PORT", "fast_shop.py"),
    ),
}
# It brings another event loop and other servers, which the other tests do not have.
FASTAPI_CLI = "fastapi-cli==0.0.34"


@pytest.mark.parametrize("name", variants(LAUNCHERS, ["uvicorn", "gunicorn", "flask run"]))
def test_a_launcher_finds_the_instrumented_app(name: str, redis_url: str, tmp_path: Path) -> None:
    """A request to the app that it serves is in Redis with its route."""
    module, command = LAUNCHERS[name]
    (tmp_path / f"{module}.py").write_text(SHOP)
    paths = [str(tmp_path), str(REPOSITORY)]
    if name == "fastapi run":
        packages = tmp_path / "packages"
        install = [PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON, "--target", str(packages)]
        subprocess.run([*install, FASTAPI_CLI], check=True)
        paths.append(str(packages))
    environment = {"ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_NAMESPACE": "development"}
    environment["PYTHONPATH"] = ":".join(paths)
    line = " ".join(command).replace("PORT", "$PORT")
    with starting_host_server(environment, cwd=tmp_path, command=("sh", "-c", f"exec {line}")) as server:
        server.wait_until_it_serves("/orders")
        assert httpx.get(f"{server.url}/orders").json() == ["toy"]
        deadline_s = time.monotonic() + 30  # the client does not wait for the flush
        while asyncio.run(_requests(redis_url)) != 2:
            assert time.monotonic() < deadline_s, server.output
            time.sleep(0.05)


async def _requests(redis_url: str) -> float:
    store = RedisStore(settings(redis_url))
    found = await samples(store, "http_requests")
    await store.aclose()
    return found.get('http_requests_total{method="GET",route="/orders",status="200"}', 0)
