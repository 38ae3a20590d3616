"""This project: increments leave with one flush."""

import asyncio

import httpx
from kairo_metrics import flush, install, metrics_app
from prometheus_client import CollectorRegistry, Counter, Histogram
from turns import BUCKETS, ERROR, ROUTE, take_turns

registry = CollectorRegistry()
requests = Counter("peer_requests", "Requests.", ["route"], registry=registry)
seconds = Histogram("peer_seconds", "Seconds.", ["route"], buckets=BUCKETS, registry=registry)
errors = Counter("peer_errors", "Errors.", ["type"], registry=registry)
install(registry)


def request():
    requests.labels(ROUTE).inc()
    seconds.labels(ROUTE).observe(0.25)
    errors.labels(ERROR).inc()
    flush(strict=True)


def page():
    async def get():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(metrics_app()), base_url="http://page") as client:
            return (await client.get("/", headers={"Authorization": "Bearer peers"})).raise_for_status().text

    return asyncio.run(get())


take_turns(request, page)
