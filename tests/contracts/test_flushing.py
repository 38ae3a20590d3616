"""Flushing: what threads and event loops count arrives, and flushes at the same time share round trips."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest
import redis

from tests.support.instance import Start, jobs_total, memory_instance, redis_instance, samples
from tests.support.proxy import Proxy


async def test_a_flush_delivers_what_was_counted(start: Start, redis_url: str) -> None:
    """After a flush the store has everything that was counted before it."""
    instance = start(redis_url)
    instance.add('queue="a"', 2)
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 2


async def test_a_blocking_flush_delivers_too(start: Start, redis_url: str) -> None:
    """A script without an event loop flushes as well."""
    instance = start(redis_url)
    instance.add('queue="a"', 2)
    await asyncio.to_thread(instance.flusher.flush)
    assert await jobs_total(instance) == 2


async def test_a_connection_closed_while_idle_is_not_noticed(start: Start, proxy: Proxy) -> None:
    """The server closes an idle connection; the next flush opens another and succeeds."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    proxy.cut()
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 2


@pytest.mark.parametrize("blocking", [False, True])
async def test_an_idle_connection_is_checked_without_a_command(
    start: Start, proxy: Proxy, redis_client: redis.Redis, *, blocking: bool
) -> None:
    """Each flush looks whether Redis has ended the connection, and still is one command and one round trip."""
    instance = start(proxy.url)
    flush = partial(asyncio.to_thread, instance.flusher.flush) if blocking else instance.flusher.aflush
    instance.add('queue="a"')
    await flush()
    proxy.reset_counts()
    redis_client.config_resetstat()
    for _ in range(10):
        instance.add('queue="a"')
        await flush()
    calls = {name: row["calls"] for name, row in redis_client.info("commandstats").items()}
    assert (proxy.connections, proxy.round_trips, calls["cmdstat_evalsha"]) == (0, 10, 10)
    assert not calls.keys() & {"cmdstat_ping", "cmdstat_hello", "cmdstat_eval"}


async def test_requests_share_round_trips(start: Start, proxy: Proxy) -> None:
    """Fifty requests that end together need a handful of round trips, and each is delivered when it is done."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    proxy.reset_counts()
    proxy.reply_delay_ms = 20

    async def request() -> None:
        instance.add('queue="a"')
        await instance.flusher.after_response()

    await asyncio.gather(*(request() for _ in range(50)))
    assert proxy.round_trips <= 3
    proxy.reply_delay_ms = 0
    assert await jobs_total(instance) == 51


async def test_threads_share_round_trips(start: Start, proxy: Proxy) -> None:
    """Sixteen requests that end together in threads need a handful of round trips, and each is delivered when done."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    await asyncio.to_thread(instance.flusher.flush)
    proxy.reset_counts()
    proxy.reply_delay_ms = 50
    together = threading.Barrier(16)

    def request() -> None:
        instance.add('queue="a"')
        together.wait(30)
        instance.flusher.after_call()

    threads = [threading.Thread(target=request) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert proxy.round_trips <= 3
    proxy.reply_delay_ms = 0
    assert not instance.flusher.pending
    assert await jobs_total(instance) == 17


async def test_a_thread_never_fails_with_its_flush(
    start: Start, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """While the store is away a request in a thread ends without an error; what it counted is sent when it is back."""
    instance = start(proxy.url, flush_budget_ms=200)
    proxy.refuse()
    for _ in range(5):
        instance.add('queue="a"')
        await asyncio.to_thread(instance.flusher.after_call)
    assert len([record for record in caplog.records if "could not be flushed" in record.message]) == 1
    assert instance.flusher.pending
    proxy.listen()
    await asyncio.to_thread(instance.flusher.flush)
    assert await jobs_total(instance) == 5


async def test_threads_and_the_event_loop_share_one_writer(start: Start, redis_url: str) -> None:
    """Blocking and async flushes at the same time deliver everything exactly once."""
    instance = start(redis_url)

    def work() -> None:
        for _ in range(50):
            instance.add('queue="a"')
            instance.flusher.flush()

    async def awork() -> None:
        for _ in range(50):
            instance.add('queue="a"')
            await instance.flusher.aflush()

    await asyncio.gather(*(asyncio.to_thread(work) for _ in range(3)), *(awork() for _ in range(3)))
    assert await jobs_total(instance) == 300


async def test_a_large_backlog_is_sent_in_bounded_batches(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """Thousands of pending series are sent in several batches, so that no single script blocks Redis for long."""
    instance = start(redis_url)
    for number in range(2_500):
        instance.add(f'queue="{number}"')
    await instance.flusher.aflush()
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == 3
    assert len(await samples(instance.store, "jobs_total")) == 2_500


def test_a_flusher_works_on_one_event_loop_after_another(redis_url: str) -> None:
    """On a platform that starts a new event loop for each invocation, every flush has a working connection."""
    instance = redis_instance(redis_url)

    async def invocation() -> None:
        instance.add('queue="a"')
        await instance.flusher.aflush()
        await instance.close()

    async def scrape() -> float:
        try:
            return await jobs_total(instance)
        finally:
            await instance.close()

    for _ in range(3):
        asyncio.run(invocation())
    assert asyncio.run(scrape()) == 3


async def test_a_flush_with_nothing_pending_sends_nothing(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """An instance that counted nothing sends no command to Redis."""
    instance = start(redis_url)
    await instance.flusher.aflush()
    await instance.flusher.after_response()
    instance.flusher.flush()
    assert "cmdstat_evalsha" not in redis_client.info("commandstats")


async def test_a_flush_works_on_the_memory_store() -> None:
    """The flusher delivers to the memory store as it does to Redis."""
    instance = memory_instance()
    threads = [threading.Thread(target=instance.flusher.flush) for _ in range(4)]
    instance.add('queue="a"', 3)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert await jobs_total(instance) == 3
