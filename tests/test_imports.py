"""What a cold start pays for: the dear libraries come when they are needed, not before."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

DEAR = {"boto3", "redis", "sqlalchemy", "uvicorn"}

IMPORTED = """
import importlib, json, sys
importlib.import_module({module!r})
print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))
"""


@pytest.mark.parametrize("module", ["api.content", "api.health", "api.metrics", "lib.kairo_metrics"])
def test_no_function_imports_a_dear_library(module: str) -> None:
    """Loading a function brings in neither redis nor sqlalchemy nor boto3."""
    environment = {
        **os.environ,
        "ENABLE_METRICS": "true",
        "REDIS_URL": "redis://127.0.0.1:1",
        "METRICS_AUTH_TOKEN": "t",
    }
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(module=module)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert DEAR.isdisjoint(json.loads(ran.stdout))


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
    """Liveness costs nothing; readiness asks Redis, and does not tell strangers where it lives."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": "redis://127.0.0.1:1"}
    subprocess.run([sys.executable, "-c", HEALTH], env=environment, check=True)
