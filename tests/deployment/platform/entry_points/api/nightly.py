"""A cron: a function that the platform calls by its path, and plain functions, which its cron service calls."""

import asyncio

from fastapi import FastAPI
from prometheus_client import Counter

from lib.kairo_metrics import instrument, measured

ROWS = Counter("rows_synced_total", "Rows synced.")


@measured
def nightly() -> None:
    ROWS.inc(3)


@measured("weekly_report")
async def weekly() -> None:
    await asyncio.sleep(0)
    ROWS.inc(5)


@measured
def failing() -> None:
    ROWS.inc(7)
    raise LookupError("the source is away")


app = instrument(FastAPI())


@app.get("/api/nightly")
async def run() -> str:
    nightly()
    return "done"
