"""A store that is unreachable, silent or slow: nothing is lost, and no request waits longer than its budget."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress

import anyio
import pytest
import redis

from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.errors import StoreUnavailable
from tests.support.instance import Instance, Start, jobs_total, redis_instance
from tests.support.ports import free_port
from tests.support.proxy import Proxy


async def test_an_unreachable_store_is_an_error_and_nothing_is_lost(start: Start, proxy: Proxy) -> None:
    """`aflush` raises during an outage, and delivers everything when Redis is back."""
    instance = start(proxy.url)
    proxy.refuse()
    for _ in range(3):
        instance.add('queue="a"')
        with pytest.raises(StoreUnavailable):
            await instance.flusher.aflush()
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(instance.flusher.flush)
    proxy.listen()
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 3


async def test_a_silent_store_costs_no_more_than_the_budget(start: Start, proxy: Proxy) -> None:
    """A store that never answers ends the flush with an error that names the setting."""
    instance = start(proxy.url, flush_budget_ms=100)
    proxy.black_hole = True
    instance.add('queue="a"')
    with pytest.raises(StoreUnavailable, match="METRICS_FLUSH_BUDGET_MS=100"):
        await instance.flusher.aflush()
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(instance.flusher.flush)


def stop_breaker_clock(instance: Instance) -> None:
    """Stop the breaker's clock: once open it stays open, however slow the machine is."""
    instance.flusher._breaker._clock = lambda: 100.0


async def test_while_the_breaker_is_open_no_request_tries(start: Start, proxy: Proxy) -> None:
    """After a failed flush, the following requests do not wait for the store."""
    instance = start(proxy.url)
    stop_breaker_clock(instance)
    proxy.refuse()
    instance.add('queue="a"')
    await instance.flusher.after_response()
    proxy.listen()
    for _ in range(20):
        instance.add('queue="a"')
        await instance.flusher.after_response()
    assert proxy.connections == 0


async def test_what_was_pending_arrives_without_another_request(start: Start, proxy: Proxy) -> None:
    """When Redis is back, an instance delivers even if it gets no more requests."""
    instance = start(proxy.url)
    proxy.refuse()
    instance.add('queue="a"')
    await instance.flusher.after_response()
    proxy.listen()
    for _ in range(200):
        if await jobs_total(instance) == 1:
            return
        await asyncio.sleep(0.05)
    pytest.fail("it never arrived")


async def test_one_stall_opens_the_breaker_once(start: Start, proxy: Proxy) -> None:
    """If many requests wait for one failing flush, the breaker counts one failure."""
    instance = start(proxy.url, flush_budget_ms=800)
    stop_breaker_clock(instance)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    proxy.black_hole = True

    async def request() -> None:
        instance.add('queue="a"')
        await instance.flusher.after_response()

    await asyncio.gather(*(request() for _ in range(20)))
    await asyncio.wait(instance.flusher._flushes.values())  # a request's budget may be over before that of the flush
    assert instance.flusher._breaker.pause_s() == 0.25
    proxy.black_hole = False
    proxy.cut()
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 21


# In its own process: the garbage collector warns about a loop that is closed in this way.
ABANDONED = """
import asyncio, gc, sys
from tests.support.instance import redis_instance

instance = redis_instance(sys.argv[1])

async def abandoned():
    instance.add('queue="a"')
    asyncio.ensure_future(instance.flusher.after_response())
    await asyncio.sleep(0.1)

loop = asyncio.new_event_loop()
loop.run_until_complete(abandoned())
loop.close()
print("closed", flush=True)
sys.stdin.readline()
instance.add('queue="a"')
instance.flusher.flush()
gc.collect()
instance.add('queue="a"')
asyncio.run(instance.flusher.aflush())
"""


async def test_a_loop_closed_during_a_flush_blocks_no_later_flush(start: Start, redis_url: str, proxy: Proxy) -> None:
    """After an event loop was closed while Redis is silent, later flushes of the process still succeed."""
    proxy.black_hole = True
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ABANDONED, proxy.url, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"closed\n"
    proxy.black_hole = False
    await child.communicate(b"go on\n")
    assert child.returncode == 0
    assert await jobs_total(start(redis_url)) == 3


def test_a_blocking_flush_ends_with_its_budget(proxy: Proxy) -> None:
    """A flush of many slow batches ends with its budget, and a later one sends the rest."""
    instance = redis_instance(proxy.url, flush_budget_ms=500)
    for number in range(10_000):
        instance.add(f'queue="{number}"')
    proxy.reply_delay_ms = 200
    with pytest.raises(StoreUnavailable):
        instance.flusher.flush()
    assert proxy.round_trips <= 4
    proxy.reply_delay_ms = 0
    flush_all(instance)


def flush_all(instance: Instance) -> None:
    """Flush until nothing is pending: on a busy machine a small budget is not enough for all of it."""
    deadline_s = time.monotonic() + 60
    while instance.flusher.pending:
        assert time.monotonic() < deadline_s
        with suppress(StoreUnavailable):
            instance.flusher.flush()


def test_a_loop_that_stops_during_a_flush_blocks_others_briefly(proxy: Proxy) -> None:
    """After an event loop stopped during a flush, other flushes wait for a bounded time."""
    instance = redis_instance(proxy.url, flush_budget_ms=100)
    instance.add('queue="a"')
    flush_all(instance)
    proxy.black_hole = True

    async def begin() -> None:
        instance.add('queue="a"')
        instance.flusher._start_flush(instance.recorder.epoch)
        await asyncio.sleep(0.01)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    proxy.black_hole = False
    flush_all(instance)

    async def end() -> None:
        await asyncio.wait(instance.flusher._flushes.values())
        assert await jobs_total(instance) == 2
        await instance.close()

    loop.run_until_complete(end())
    loop.close()


async def test_a_cancelled_request_ends_at_once(start: Start, proxy: Proxy) -> None:
    """A request in a cancelled scope does not spin until its budget is spent, and its increments still arrive."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    proxy.reply_delay_ms = 200
    with anyio.CancelScope() as scope:
        scope.cancel()
        await instance.flusher.after_response()
    assert instance.flusher.pending
    await instance.flusher.aflush()
    proxy.reply_delay_ms = 0
    assert await jobs_total(instance) == 1


async def test_an_instance_reconnects_when_its_redis_becomes_a_replica(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """If its Redis has become a replica, an instance opens a new connection, and goes on."""
    with private_redis(free_port()) as master_url, redis.Redis.from_url(master_url) as master:
        instance = start(redis_url)
        instance.add('queue="a"')
        await instance.flusher.aflush()
        address = master.get_connection_kwargs()
        redis_client.replicaof(address["host"], address["port"])
        instance.add('queue="a"')
        with pytest.raises(StoreUnavailable, match="read only"):
            await instance.flusher.aflush()
        redis_client.replicaof("NO", "ONE")
        await instance.flusher.aflush()
    assert await jobs_total(instance) >= 1
