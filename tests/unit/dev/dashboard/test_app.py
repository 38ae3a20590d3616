"""The query API of the dashboard when something that it needs is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import asyncio, sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from pathlib import Path
import httpx
from lib.kairo_metrics.dev.dashboard.app import Dashboard
from lib.kairo_metrics.dev.dashboard.history import History
from lib.kairo_metrics.dev.dashboard.scraper import Scraper
history = History(keep_ms=1)
app = Dashboard(None, Path(), Scraper(None, "token", "here", history, always=False), history)
async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        print((await client.get("/dashboard/api/v1/query?query=up")).json()["error"])
asyncio.run(ask())
"""


@pytest.mark.parametrize("module", ["re2", "promql_parser"])
def test_a_missing_library_is_named(module: str) -> None:
    """Without the parser or RE2 the answer says which one is missing and how to install it."""
    ran = subprocess.run([sys.executable, "-c", ASK, module], capture_output=True, text=True, check=False)
    assert f"google-re2, and {module} can't be imported: pip install 'kairo-metrics[dev]'" in ran.stdout, ran.stderr
