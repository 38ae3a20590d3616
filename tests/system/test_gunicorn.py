"""An app under gunicorn with three workers: what each import recorded is on the page once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.instance import Start, samples
from tests.support.ports import free_port

SHOP = """
from prometheus_client import Counter, Gauge, Info
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import instrument

BOOTS, ORDERS = Counter("shop_boots", "B."), Counter("shop_orders", "O.")
BOOTS.inc()
Info("shop_build", "B.").info({"version": "1.2"})
Gauge("shop_limit", "L.", multiprocess_mode="livemostrecent").set(42)
Counter("shop_errors", "E.", ["kind"]).labels("stock")

async def order(request):
    ORDERS.inc()
    return PlainTextResponse("")

app = instrument(Starlette(routes=[Route("/orders", order)]))
"""


@pytest.mark.parametrize(("options", "imports"), [(["--preload"], 1), ([], 3)], ids=["preload", "each worker"])
async def test_what_the_import_recorded_is_sent(
    start: Start, redis_url: str, tmp_path: Path, options: list[str], imports: int
) -> None:
    """An import counts once, also with `--preload`, where it is that of a master which never flushes."""
    port, log = free_port(), tmp_path / "log"
    server = await asyncio.to_thread(_gunicorn, tmp_path, log, port, redis_url, options)
    try:
        async with asyncio.timeout(60):
            await asyncio.to_thread(_wait_for_workers, log)
            served = 0
            while (await samples(start(redis_url).store, "shop")).get("shop_boots_total") != imports:
                # Each on a connection of its own, until every worker has served one.
                async with httpx.AsyncClient() as client:
                    served += (await client.get(f"http://127.0.0.1:{port}/orders")).status_code == 200
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, 30)
    assert await samples(start(redis_url).store, "shop") == {
        'shop_build_info{version="1.2"}': 1,
        'shop_errors_total{kind="stock"}': 0,
        "shop_boots_total": imports,
        "shop_limit": 42,
        "shop_orders_total": served,
    }


def _wait_for_workers(log: Path) -> None:
    """Wait until all three have imported the app: then each has a part in what is counted."""
    deadline_s = time.monotonic() + 60
    while log.read_text().count("Application startup complete") < 3:
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.05)


def _gunicorn(folder: Path, log: Path, port: int, redis_url: str, options: list[str]) -> subprocess.Popen[bytes]:
    (folder / "shop.py").write_text(SHOP)
    environment = {
        **os.environ,
        "ENABLE_METRICS": "true",
        "REDIS_URL": redis_url,
        "METRICS_NAMESPACE": "development",
        "PYTHONPATH": f"{Path(__file__).parents[2]}:{folder}",
    }
    command = [sys.executable, "-m", "gunicorn", "-w", "3", "-k", "uvicorn_worker.UvicornWorker", *options]
    with log.open("w") as output:
        return subprocess.Popen(
            [*command, "-b", f"127.0.0.1:{port}", "shop:app"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
        )
