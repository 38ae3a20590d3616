"""The metrics endpoint: it sends the page first, and does the upkeep of the store after that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from lib.kairo_metrics.delivery.pipeline import Pipeline
from lib.kairo_metrics.endpoints.metrics_endpoint import MetricsEndpoint
from lib.kairo_metrics.model.snapshot import IndexEntry
from lib.kairo_metrics.store.command_flow import CommandFlow
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.instance import Start, settings
from tests.support.proxy import Proxy

TOKEN = "a-token"
LAST = "the last byte"


class WatchedStore(RedisStore):
    """A store on a real Redis that notes when it begins to delete."""

    def __init__(self, redis_url: str, events: list[str]) -> None:
        super().__init__(settings(redis_url, flush_budget_ms=30_000))
        self._events = events

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
        self._events.append("a deletion")
        yield from super().tidy(entry, texts)


@dataclass
class Server:
    """Calls the endpoint as an ASGI server does, and notes what happens in which order."""

    endpoint: MetricsEndpoint
    events: list[str]
    body: bytes = b""
    sent: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, method: str = "GET") -> None:
        """Send one request."""
        headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
        scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": headers}
        await self.endpoint({**scope, "asgi": {"spec_version": "2.4"}}, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        await self.sent.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.events.append(f"status {message['status']}")
        else:
            self.body += message["body"]
            if not message.get("more_body"):
                self.events.append(LAST)
                self.sent.set()


Serve = Callable[[str], Awaitable[Server]]


@pytest.fixture
async def serve(start: Start, redis_client: redis.Redis) -> AsyncIterator[Serve]:
    """Give a function that starts the endpoint on a Redis with a series in use and three stale ones."""
    stores = []

    async def serve_one(redis_url: str) -> Server:
        instance = start(redis_url)
        instance.add('queue="a"')
        await instance.flusher.aflush()
        [key] = redis_client.keys("*:series:jobs:*")
        redis_client.hset(key, mapping={f'queue="old {n}"': "1 1700000000000 1700000000000" for n in range(3)})
        events: list[str] = []
        stores.append(WatchedStore(redis_url, events))
        chosen = settings(redis_url, auth_tokens=(TOKEN,), scrape_timeout_ms=2_000)
        return Server(MetricsEndpoint(Pipeline(chosen, stores[-1], instance.flusher), chosen), events)

    yield serve_one
    for store in stores:
        await store.aclose()


@pytest.mark.parametrize(("method", "has_page"), [("GET", True), ("HEAD", False)])
async def test_the_page_is_sent_before_any_deletion_begins(
    serve: Serve, redis_url: str, redis_client: redis.Redis, method: str, has_page: bool
) -> None:
    """A scraper never waits for the upkeep of the store; what is stale is deleted all the same."""
    scrape = await serve(redis_url)
    await scrape(method)
    assert scrape.events == ["status 200", LAST, "a deletion"]
    assert (b'jobs_total{queue="a"} 1' in scrape.body) == has_page
    assert redis_client.hlen(redis_client.keys("*:series:jobs:*")[0]) == 1


async def test_a_store_that_stalls_while_it_deletes_delays_no_page(
    serve: Serve, redis_client: redis.Redis, proxy: Proxy
) -> None:
    """The whole page is sent, although the store then stops answering; the request ends with the scrape's patience."""
    scrape = await serve(proxy.url)
    proxy.lose_request(of=b"old 1", then_cut=False)
    request = asyncio.create_task(scrape())
    async with asyncio.timeout(20):
        await scrape.sent.wait()
        assert scrape.events[:2] == ["status 200", LAST]
        assert b'jobs_total{queue="a"} 1' in scrape.body
        await request
    assert scrape.events == ["status 200", LAST, "a deletion"]
    assert redis_client.hlen(redis_client.keys("*:series:jobs:*")[0]) == 4
    await scrape()
    assert redis_client.hlen(redis_client.keys("*:series:jobs:*")[0]) == 1


async def test_an_answer_without_a_page_does_no_upkeep(
    serve: Serve, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request without the right token sends no command to the store, also right after a scrape."""
    scrape = await serve(redis_url)
    monkeypatch.setattr("tests.unit.endpoints.test_metrics_endpoint.TOKEN", "wrong")
    await scrape()
    assert scrape.events == ["status 401", LAST]


async def test_an_error_of_the_upkeep_reaches_neither_scraper_nor_server(
    serve: Serve, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is whole, and the server sees a request that ended well."""
    scrape = await serve(redis_url)

    def fail(*_: Any) -> CommandFlow[None]:
        raise ValueError("a bug")

    monkeypatch.setattr(WatchedStore, "tidy", fail)
    await scrape()
    assert scrape.events == ["status 200", LAST]
