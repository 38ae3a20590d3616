"""Pages from a real Redis, and what is done in the store after each of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import redis

from lib.kairo_metrics.errors import StoreRefused, StoreUnavailable
from lib.kairo_metrics.model.snapshot import IndexEntry
from lib.kairo_metrics.scrape.state_reader import StateReader
from lib.kairo_metrics.store.command_flow import CommandFlow
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.instance import JOBS, WAIT, Instance, Start, settings
from tests.support.proxy import Proxy
from tests.support.rollback import Site, add, end_recovery

OLD = " 1700000000000 1700000000000"


async def count(instance: Instance) -> None:
    """Let an instance announce two families, with a series each."""
    instance.add('queue="a"')
    instance.add('queue="a"', 1, schema=WAIT, index=2)
    await instance.flusher.aflush()


def make_stale(client: redis.Redis, series: int) -> None:
    """Put series that no instance has written for years into both families."""
    for family, numbers in (("jobs", "1"), ("wait_seconds", "0.5 1 0 0")):
        [key] = client.keys(f"*:series:{family}:*")
        client.hset(key, mapping={f'queue="old {number}"': numbers + OLD for number in range(series)})


def stale(client: redis.Redis) -> int:
    """Count these series."""
    keys = [key for family in ("jobs", "wait_seconds") for key in client.keys(f"*:series:{family}:*")]
    return sum(client.hlen(key) - 1 for key in keys)


def reader_of(instance: Instance) -> StateReader:
    """Make a reader of an instance's store."""
    return StateReader(instance.store, settings(), instance.flusher.aflush)


async def scrape(reader: StateReader, patience_s: float = 5.0) -> None:
    """Read a page, and do what it found to do."""
    _, upkeep = await reader.read_page(time.perf_counter(), patience_s)
    await reader.maintain(upkeep)


async def test_one_scrape_deletes_a_thousand_series_and_the_next_one_the_rest(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """Over all families a scrape deletes at most 1,000 series, and the next scrapes delete the rest."""
    instance = start(redis_url)
    await count(instance)
    make_stale(redis_client, 700)
    reader = reader_of(instance)
    assert stale(redis_client) == 1_400
    await scrape(reader)
    assert stale(redis_client) == 400
    await scrape(reader)
    assert stale(redis_client) == 0


async def test_a_page_deletes_nothing(start: Start, redis_url: str, redis_client: redis.Redis) -> None:
    """Reading a page leaves everything in place until the page is sent."""
    instance = start(redis_url)
    await count(instance)
    make_stale(redis_client, 3)
    page, _ = await reader_of(instance).read_page(time.perf_counter(), 5.0)
    assert stale(redis_client) == 6
    [jobs] = [family for family in page.families if family.schema.name == "jobs"]
    assert list(jobs.series) == [b'queue="a"']


async def test_scrapes_at_once_do_their_own_upkeep_after_their_own_page(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """Two scrapers at the same time get the same page, and what is stale is deleted once."""
    instance = start(redis_url)
    await count(instance)
    make_stale(redis_client, 400)
    reader = reader_of(instance)
    await asyncio.gather(scrape(reader), scrape(reader), scrape(reader))
    assert stale(redis_client) == 0
    assert redis_client.hlen(redis_client.keys("*:series:jobs:*")[0]) == 1


class Failing(RedisStore):
    """A store on a real Redis in which the deletion of one family fails."""

    def __init__(self, redis_url: str, error: BaseException) -> None:
        super().__init__(settings(redis_url))
        self._error = error

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
        if entry.schema == JOBS:
            raise self._error
        return super().tidy(entry, texts)


@pytest.fixture
async def failing(
    start: Start, redis_url: str, redis_client: redis.Redis, request: pytest.FixtureRequest
) -> AsyncIterator[Failing]:
    """Give a store that holds stale series and whose deletion raises the error that a test names."""
    await count(start(redis_url))
    make_stale(redis_client, 3)
    store = Failing(redis_url, request.param)
    yield store
    await store.aclose()


async def _nothing_to_send() -> None:
    """Have nothing to send."""


@pytest.mark.parametrize(
    ("failing", "logged"),
    [(StoreRefused("no"), 0), (StoreUnavailable("away"), 0), (TimeoutError(), 0), (ValueError("a bug"), 1)],
    indirect=["failing"],
)
async def test_an_error_of_the_upkeep_stays_inside(
    failing: Failing, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An error after the response is not raised; an unexpected one is logged; the next page is read."""
    reader = StateReader(failing, settings(), _nothing_to_send)
    for _ in range(2):
        await scrape(reader)
    assert len([text for text in caplog.messages if "upkeep of the store failed" in text]) == 2 * logged


@pytest.mark.parametrize("failing", [asyncio.CancelledError()], indirect=True)
async def test_a_cancelled_upkeep_ends_as_cancelled(failing: Failing) -> None:
    """A server that shuts down is not held up."""
    reader = StateReader(failing, settings(), _nothing_to_send)
    with pytest.raises(asyncio.CancelledError):
        await scrape(reader)


async def test_an_upkeep_that_stalls_ends_with_its_patience(
    start: Start, proxy: Proxy, redis_client: redis.Redis
) -> None:
    """If the store stops answering after the page, the upkeep ends when the scrape's time is over."""
    instance = start(proxy.url, flush_budget_ms=30_000)
    await count(instance)
    make_stale(redis_client, 3)
    reader = reader_of(instance)
    _, upkeep = await reader.read_page(time.perf_counter(), 1.0)
    proxy.black_hole = True
    async with asyncio.timeout(20):
        await reader.maintain(upkeep)
    proxy.black_hole = False
    proxy.cut()
    assert stale(redis_client) == 6
    await scrape(reader)
    assert stale(redis_client) == 0


async def test_a_deadline_that_is_over_is_told_and_hurts_nothing(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """A scrape that comes too late fails with the reason; the next one finds the connections in order."""
    instance = start(redis_url)
    await count(instance)
    make_stale(redis_client, 3)
    reader = reader_of(instance)
    with pytest.raises(StoreUnavailable, match="did not answer within"):
        await reader.read_page(time.perf_counter() - 10, 1.0)
    _, upkeep = await reader.read_page(time.perf_counter(), 5.0)
    before = redis_client.info("stats")["total_commands_processed"]
    late = type(upkeep)(upkeep.scrape, upkeep.missing, upkeep.names, -1.0)
    await reader.maintain(late)
    assert redis_client.info("stats")["total_commands_processed"] == before + 1  # the question itself
    await reader.maintain(upkeep)
    assert stale(redis_client) == 0


async def test_a_refused_restoration_does_not_stop_the_deletion(
    start: Start, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stale series are deleted even if a restoration is refused."""
    site = Site(start, redis_url, redis_client)
    one = site.writer()
    await add(one, 2)
    disk = site.disk()
    await add(one, 3)
    reader = reader_of(one)
    await reader.read_page(time.perf_counter(), 5.0)
    disk.load()
    end_recovery(monkeypatch)
    make_stale(redis_client, 3)

    def refuse(*_: Any) -> CommandFlow[None]:
        raise StoreRefused("no")

    monkeypatch.setattr("lib.kairo_metrics.scrape.rollback.restoration.restore", refuse)
    reader._flush = _nothing_to_send
    await scrape(reader)
    assert stale(redis_client) == 0
    shown, _ = await reader.read_page(time.perf_counter(), 5.0)
    [jobs] = [family for family in shown.families if family.schema.name == "jobs"]
    assert jobs.series[b'queue="a"'] == b"5"
