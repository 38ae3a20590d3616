"""Delivery under faults: what was counted arrives exactly once, and nobody waits longer than allowed."""

from __future__ import annotations

import asyncio
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator

import pytest
import redis

from lib.kairo_metrics.errors import StoreError, StoreRefused, StoreUnavailable
from tests.instance import Instance, Start, memory_instance, redis_instance, samples
from tests.proxy import Proxy

A = 'jobs_total{queue="a"}'


async def total(instance: Instance) -> float:
    """Read the total from the store itself."""
    return (await samples(instance.store, "jobs_total")).get(A, 0.0)


async def test_a_flush_delivers_what_was_counted(start: Start, redis_url: str) -> None:
    """After a flush the store has everything that was counted before it."""
    instance = start(redis_url)
    instance.add('queue="a"', 2)
    await instance.flusher.aflush()
    assert await total(instance) == 2


async def test_a_blocking_flush_delivers_too(start: Start, redis_url: str) -> None:
    """A script without an event loop flushes as well."""
    instance = start(redis_url)
    instance.add('queue="a"', 2)
    await asyncio.to_thread(instance.flusher.flush)
    assert await total(instance) == 2


@pytest.mark.parametrize("then_cut", [True, False])
async def test_a_lost_reply_counts_once(start: Start, proxy: Proxy, then_cut: bool) -> None:
    """A reply lost after the script ran, by a cut or by silence, does not make the total wrong."""
    instance = start(proxy.url, flush_budget_ms=300)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    for _ in range(3):
        proxy.lose_reply(to=b"EVALSHA", then_cut=then_cut)
        instance.add('queue="a"')
        await instance.flusher.after_response()
        assert not proxy.loss_is_pending
        await instance.flusher.aflush()
    assert await total(instance) == 4


async def test_a_blocking_flush_survives_a_lost_reply(start: Start, proxy: Proxy) -> None:
    """The same holds for the blocking flush."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    proxy.lose_reply(to=b"EVALSHA")
    await asyncio.to_thread(instance.flusher.flush)
    assert await total(instance) == 1


async def test_a_connection_closed_while_idle_is_not_noticed(start: Start, proxy: Proxy) -> None:
    """The server closes an idle connection; the next flush opens another and succeeds."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    proxy.cut()
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await total(instance) == 2


@pytest.fixture
def login(redis_client: redis.Redis) -> Iterator[str]:
    """Give the user and password of an account that exists during the test."""
    redis_client.acl_setuser("kairo", enabled=True, passwords=["+hush"], keys=["kairo:*"], categories=["+@all"])
    yield "kairo:hush@"
    redis_client.acl_deluser("kairo")


async def test_a_login_costs_one_round_trip_per_connection(start: Start, proxy: Proxy, login: str) -> None:
    """Password and database number travel together, for the event loop and for a thread."""
    address = proxy.url.replace("//", f"//{login}").replace("/0", "/3")
    instance = start(address)
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        for connections, round_trips in ((1, 2), (0, 1)):
            instance.add('queue="a"')
            proxy.reset_counts()
            await flush()
            # The script may be unknown: that is once per Redis, not per connection.
            assert proxy.connections == connections
            assert proxy.round_trips <= round_trips + (connections and flush == instance.flusher.aflush)
    assert await total(instance) == 4


REFUSED_LOGINS = [("hush", "whisper", "invalid username-password"), ("/0", "/99", "DB index is out of range")]


@pytest.mark.parametrize("refused", REFUSED_LOGINS)
async def test_a_refused_login_is_an_error_and_nothing_is_written(
    start: Start, redis_url: str, redis_client: redis.Redis, login: str, refused: tuple[str, str, str]
) -> None:
    """A wrong password or database says so, tells no password, and does not write somewhere else instead."""
    right, wrong, reason = refused
    instance = start(redis_url.replace("//", f"//{login}").replace(right, wrong))
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        instance.add('queue="a"')
        with pytest.raises(StoreError, match=reason) as caught:
            await flush()
        assert "hush" not in str(caught.value)
        assert "whisper" not in str(caught.value)
    assert redis_client.keys("*") == []


async def test_an_unreachable_store_is_an_error_and_nothing_is_lost(start: Start, proxy: Proxy) -> None:
    """`aflush` raises while Redis is away, and delivers all of it when Redis is back."""
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
    assert await total(instance) == 3


async def test_a_silent_store_costs_no_more_than_the_budget(start: Start, proxy: Proxy) -> None:
    """A store that never answers ends the flush with an error that names the setting."""
    instance = start(proxy.url, flush_budget_ms=100)
    proxy.black_hole = True
    instance.add('queue="a"')
    with pytest.raises(StoreUnavailable, match="METRICS_FLUSH_BUDGET_MS=100"):
        await instance.flusher.aflush()
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(instance.flusher.flush)


async def test_while_the_breaker_is_open_no_request_tries(start: Start, proxy: Proxy) -> None:
    """After a failure the following requests do not each wait for a store that is away."""
    instance = start(proxy.url)
    proxy.refuse()
    instance.add('queue="a"')
    await instance.flusher.after_response()
    proxy.listen()
    for _ in range(20):
        instance.add('queue="a"')
        await instance.flusher.after_response()
    assert proxy.connections == 0


async def test_what_was_pending_arrives_without_another_request(start: Start, proxy: Proxy) -> None:
    """When Redis is back, an instance that nobody calls any more still delivers."""
    instance = start(proxy.url)
    proxy.refuse()
    instance.add('queue="a"')
    await instance.flusher.after_response()
    proxy.listen()
    for _ in range(200):
        if await total(instance) == 1:
            return
        await asyncio.sleep(0.05)
    pytest.fail("it never arrived")


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
    assert await total(instance) == 51


async def test_threads_and_the_event_loop_share_one_writer(start: Start, redis_url: str) -> None:
    """Blocking and async flushes at the same time deliver everything once."""
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
    assert await total(instance) == 300


async def test_a_cancelled_flush_loses_nothing(start: Start, proxy: Proxy) -> None:
    """A task cancelled while the reply is due leaves a batch that the next flush settles."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    proxy.reply_delay_ms = 100
    instance.add('queue="a"')
    flush = asyncio.create_task(instance.flusher.aflush())
    await asyncio.sleep(0.03)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    proxy.reply_delay_ms = 0
    await instance.flusher.aflush()
    assert await total(instance) == 2


async def test_a_store_that_lost_its_memory_gets_the_batches_again(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """A Redis restarted empty is given what the instance still holds, acknowledged or not."""
    instance = start(redis_url)
    for _ in range(10):
        instance.add('queue="a"')
        await instance.flusher.aflush()
    redis_client.flushall()
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await total(instance) == 11


async def test_batches_too_old_to_be_replayed_are_counted_as_lost(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """What a restarted Redis lost and nobody holds any more is not replayed in part under wrong numbers."""
    instance = start(redis_url)
    for _ in range(70):
        instance.add('queue="a"')
        await instance.flusher.aflush()
    redis_client.flushall()
    instance.add('queue="a"')
    await instance.flusher.aflush()
    await instance.flusher.aflush()
    assert await total(instance) == 65
    assert await samples(instance.store, "kairo_samples_lost") == {'kairo_samples_lost_total{family="jobs"}': 6}


async def test_a_large_backlog_is_sent_in_bounded_batches(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """Thousands of pending series do not hold Redis in one long script."""
    instance = start(redis_url)
    for number in range(2_500):
        instance.add(f'queue="{number}"')
    await instance.flusher.aflush()
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == 3
    assert len(await samples(instance.store, "jobs_total")) == 2_500


async def test_a_damaged_family_does_not_hold_up_the_others(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """A key that holds something foreign costs its own family only."""
    instance = start(redis_url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    [key] = redis_client.keys("*series:jobs:*")
    redis_client.delete(key)
    redis_client.set(key, "mine")
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert redis_client.get(key) == b"mine"


def test_one_flusher_serves_one_event_loop_after_another(redis_url: str) -> None:
    """A platform that starts a new event loop per invocation finds a working connection each time."""
    instance = redis_instance(redis_url)

    async def invocation() -> None:
        instance.add('queue="a"')
        await instance.flusher.aflush()
        await instance.close()

    async def scrape() -> float:
        try:
            return await total(instance)
        finally:
            await instance.close()

    for _ in range(3):
        asyncio.run(invocation())
    assert asyncio.run(scrape()) == 3


async def test_a_flush_with_nothing_pending_sends_nothing(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """An idle instance costs no command."""
    instance = start(redis_url)
    await instance.flusher.aflush()
    await instance.flusher.after_response()
    instance.flusher.flush()
    assert "cmdstat_evalsha" not in redis_client.info("commandstats")


async def test_the_memory_store_takes_the_same_flushes() -> None:
    """The flusher does not care where the state lives."""
    instance = memory_instance()
    threads = [threading.Thread(target=instance.flusher.flush) for _ in range(4)]
    instance.add('queue="a"', 3)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert await total(instance) == 3


async def test_an_evicted_record_makes_nothing_count_twice(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """A Redis that evicts the writer's record but not the series is not taken for one that lost everything."""
    instance = start(redis_url)
    for _ in range(10):
        instance.add('queue="a"')
        await instance.flusher.aflush()
    redis_client.delete(*redis_client.keys("*:writer:*"))
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await total(instance) == 11


async def test_a_doubtful_batch_is_not_sent_under_another_id(start: Start, proxy: Proxy) -> None:
    """A reply lost, the reconnect refused, and then a long silence: what was applied is not applied again."""
    instance = start(proxy.url)
    instance.add('queue="a"', 10)
    await instance.flusher.aflush()
    instance.add('queue="a"')
    proxy.lose_reply(to=b"EVALSHA")
    proxy.refuse()
    with pytest.raises(StoreUnavailable):
        await instance.flusher.aflush()
    proxy.listen()
    instance.flusher._outbox._heard_at = (float("-inf"), float("-inf"))
    await instance.flusher.aflush()
    assert await total(instance) == 11


async def test_one_stall_opens_the_breaker_once(start: Start, proxy: Proxy) -> None:
    """However many requests wait for a flush that fails, it is one failure."""
    instance = start(proxy.url, flush_budget_ms=200)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    proxy.black_hole = True

    async def request() -> None:
        instance.add('queue="a"')
        await instance.flusher.after_response()

    await asyncio.gather(*(request() for _ in range(20)))
    assert 0 < instance.flusher._breaker.pause_s() <= 0.25
    proxy.black_hole = False
    proxy.cut()
    await instance.flusher.aflush()
    assert await total(instance) == 21


async def test_a_store_slower_than_half_the_budget_is_kept_up_with(start: Start, proxy: Proxy) -> None:
    """Requests that come in the midst of a slow flush do not cut the next one short."""
    instance = start(proxy.url, flush_budget_ms=500)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    proxy.reply_delay_ms = 300

    async def request(after_s: float) -> None:
        await asyncio.sleep(after_s)
        instance.add('queue="a"')
        await instance.flusher.after_response()

    await asyncio.gather(*(request(number * 0.05) for number in range(20)))
    assert instance.flusher._breaker.pause_s() == 0
    proxy.reply_delay_ms = 0
    await instance.flusher.aflush()
    assert await total(instance) == 21
    assert list(await samples(instance.store, "kairo_batches")) == ['kairo_batches_total{outcome="applied"}']


# In a process of its own: a loop that is closed like that leaves warnings to the garbage collector.
ABANDONED = """
import asyncio, gc, sys
from tests.instance import redis_instance

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


async def test_a_loop_closed_in_the_midst_of_a_flush_hands_its_turn_on(
    start: Start, redis_url: str, proxy: Proxy
) -> None:
    """An event loop that ends while Redis is silent does not stop every later flush of the process."""
    proxy.black_hole = True
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ABANDONED, proxy.url, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"closed\n"
    proxy.black_hole = False
    await child.communicate(b"go on\n")
    assert child.returncode == 0
    assert await total(start(redis_url)) == 3


def test_a_blocking_flush_ends_with_its_budget(proxy: Proxy) -> None:
    """Many slow batches are not sent one after the other beyond the time allowed."""
    instance = redis_instance(proxy.url, flush_budget_ms=500)
    for number in range(10_000):
        instance.add(f'queue="{number}"')
    proxy.reply_delay_ms = 200
    with pytest.raises(StoreUnavailable):
        instance.flusher.flush()
    assert proxy.round_trips <= 4
    proxy.reply_delay_ms = 0
    while instance.flusher.pending:
        instance.flusher.flush()


async def test_a_scrape_without_permission_fails_instead_of_being_empty(
    start: Start, redis_url: str, redis_client: redis.Redis, login: str
) -> None:
    """A store that refuses to be read is a failed scrape, not a page without metrics."""
    instance = start(redis_url.replace("//", f"//{login}"))
    instance.add('queue="a"')
    await instance.flusher.aflush()
    redis_client.acl_setuser("kairo", commands=["-hscan"])
    with pytest.raises(StoreRefused, match="hscan"):
        await total(instance)
