"""Exactly once, in spite of lost replies, lost data and lost records."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
import redis

from lib.kairo_metrics.delivery import outbox
from lib.kairo_metrics.errors import StoreUnavailable
from lib.kairo_metrics.model.moment import NEVER
from lib.kairo_metrics.store.connections import connection as connections
from tests.support.instance import WAIT, Instance, Start, jobs_total, nonzero_samples
from tests.support.proxy import Proxy
from tests.support.redis_process import RedisProcess


@pytest.mark.parametrize("then_cut", [True, False])
async def test_a_lost_reply_counts_once(start: Start, proxy: Proxy, then_cut: bool) -> None:
    """The total is exact if a reply is lost after the script ran, by a cut or by silence."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    for _ in range(3):
        proxy.lose_reply(to=b"EVALSHA", then_cut=then_cut)
        instance.add('queue="a"')
        response = asyncio.create_task(instance.flusher.after_response())
        while proxy.loss_is_pending:  # noqa: ASYNC110  the proxy is a thread
            await asyncio.sleep(0)
        if not then_cut:
            end_budgets(instance)
        await response
        await instance.flusher.aflush()
    assert await jobs_total(instance) == 4


def end_budgets(instance: Instance) -> None:
    """Move the event loop's clock forward by a budget, so that the budget of every waiting flush is spent."""
    loop, budget_s = asyncio.get_running_loop(), instance.flusher._budget_s
    clock = loop.time
    loop.time = lambda: clock() + budget_s  # type: ignore[method-assign]


def let_half_a_lease_pass(instance: Instance) -> None:
    """Let the instance think that the store has not answered it for so long that its record may be gone."""
    instance.flusher._outbox._confirmed_at = NEVER


async def test_a_blocking_flush_survives_a_lost_reply(start: Start, proxy: Proxy) -> None:
    """A blocking flush is exact, too, if a reply is lost."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    proxy.lose_reply(to=b"EVALSHA")
    await asyncio.to_thread(instance.flusher.flush)
    assert await jobs_total(instance) == 1


async def test_a_cancelled_flush_loses_nothing(start: Start, proxy: Proxy) -> None:
    """If a task is cancelled before the reply, the next flush finds out what became of the batch."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    proxy.lose_reply(to=b"EVALSHA", then_cut=False)
    instance.add('queue="a"')
    flush = asyncio.create_task(instance.flusher.aflush())
    while proxy.loss_is_pending:  # noqa: ASYNC110  the proxy is a thread
        await asyncio.sleep(0)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    proxy.cut()
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 2


async def test_an_emptied_store_gets_the_batches_again(start: Start, redis_url: str, redis_client: redis.Redis) -> None:
    """After Redis restarts empty, an instance sends it all batches that it still keeps, acknowledged or not."""
    instance = start(redis_url)
    for _ in range(10):
        instance.add('queue="a"')
        await instance.flusher.aflush()
    redis_client.flushall()
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 11


async def test_batches_too_old_to_be_replayed_are_counted_as_lost(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """If a restarted Redis lost more batches than an instance keeps, the missing ones are counted as lost."""
    instance = start(redis_url)
    for _ in range(70):
        instance.add('queue="a"')
        await instance.flusher.aflush()
    redis_client.flushall()
    instance.add('queue="a"')
    await instance.flusher.aflush()
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 65
    assert await nonzero_samples(instance.store, "kairo_samples_lost") == {'kairo_samples_lost_total{family="jobs"}': 6}


async def test_a_long_lived_instance_counts_what_it_cannot_send_again(
    start: Start, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any number of batches, what an instance can't send again is counted as lost for each family."""
    monkeypatch.setattr(outbox, "_KEPT", 4)
    monkeypatch.setattr(outbox, "_FORGOTTEN", 8)
    instance = start(redis_url)
    for number in range(40):
        instance.add('queue="a"', number)
        instance.add('queue="a"', schema=WAIT)
        await instance.flusher.aflush()
    redis_client.flushall()
    instance.add('queue="a"', 100)
    await instance.flusher.aflush()
    await instance.flusher.aflush()
    lost = await nonzero_samples(instance.store, "kairo_samples_lost")
    assert await jobs_total(instance) == 100 + sum(range(36, 40))
    assert lost == {
        'kairo_samples_lost_total{family="jobs"}': sum(range(36)),
        'kairo_samples_lost_total{family="wait_seconds"}': 36,
    }


async def test_an_evicted_record_counts_nothing_twice(start: Start, redis_url: str, redis_client: redis.Redis) -> None:
    """If Redis evicts a writer's record but not the series, the instance does not send its batches again."""
    instance = start(redis_url)
    for _ in range(10):
        instance.add('queue="a"')
        await instance.flusher.aflush()
    redis_client.delete(*redis_client.keys("*:writer:*"))
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 11


async def test_a_batch_without_a_reply_is_not_sent_under_another_id(start: Start, proxy: Proxy) -> None:
    """After a lost reply, a refused connection and a long pause, an applied batch is not applied again."""
    instance = start(proxy.url)
    instance.add('queue="a"', 10)
    await instance.flusher.aflush()
    instance.add('queue="a"')
    proxy.lose_reply(to=b"EVALSHA")
    proxy.refuse()
    with pytest.raises(StoreUnavailable):
        await instance.flusher.aflush()
    proxy.listen()
    let_half_a_lease_pass(instance)
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 11


async def test_a_damaged_family_does_not_delay_the_others(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """A foreign key affects only its own family."""
    instance = start(redis_url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    [key] = redis_client.keys("*series:jobs:*")
    redis_client.delete(key)
    redis_client.set(key, "mine")
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert redis_client.get(key) == b"mine"


async def test_two_instances_both_notice_an_emptied_store(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """If one instance has sent its batches again, the other one still notices the loss."""
    one, other = start(redis_url), start(redis_url)
    for instance in (one, other, one):
        instance.add('queue="a"', 10)
        await instance.flusher.aflush()
    redis_client.flushall()
    for instance in (one, other):
        instance.add('queue="a"')
        await instance.flusher.aflush()
    assert await jobs_total(one) == 32


async def test_an_eviction_after_a_lost_reply_counts_once(
    start: Start, proxy: Proxy, redis_client: redis.Redis
) -> None:
    """The reply to a duplicate names its state, so an evicted record is recognized after a lost reply."""
    instance = start(proxy.url)
    proxy.lose_reply(to=b"EVAL")
    instance.add('queue="a"')
    await instance.flusher.aflush()
    redis_client.delete(*redis_client.keys("*:writer:*"))
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 2


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_batch_is_not_repeated_after_a_long_sleep(
    start: Start, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, *, blocking: bool
) -> None:
    """If a connection breaks after the writer's record may have expired, the flush fails, and the next one is exact."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    monkeypatch.setattr(connections, "RESEND_LIMIT_S", -1.0)
    proxy.lose_reply(to=b"EVALSHA")
    instance.add('queue="a"')
    with pytest.raises(StoreUnavailable) as broken:
        await (asyncio.to_thread(instance.flusher.flush) if blocking else instance.flusher.aflush())
    assert broken.value.sent
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 2


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_batch_that_an_ended_connection_did_not_take_is_sent_later(
    start: Start, tmp_path: Path, *, blocking: bool
) -> None:
    """If Redis closed the idle connection and takes no new one, the batch was not sent: it is applied, however late."""
    server = RedisProcess(tmp_path)
    try:
        instance = start(server.url)
        flush = partial(asyncio.to_thread, instance.flusher.flush) if blocking else instance.flusher.aflush
        instance.add('queue="a"', 10)
        await flush()
        with server.refusing():
            server.client.client_kill_filter(_type="normal", skipme=True)
            instance.add('queue="a"')
            with pytest.raises(StoreUnavailable, match="Error 111") as refused:
                await flush()
        assert not refused.value.sent
        let_half_a_lease_pass(instance)
        await flush()
        assert await jobs_total(instance) == 11
        assert await nonzero_samples(instance.store, "kairo_samples_lost") == {}
    finally:
        server.close()


@pytest.mark.parametrize("database", [0, 1])
async def test_a_batch_is_unsent_if_the_budget_ends_before_it_leaves(start: Start, proxy: Proxy, database: int) -> None:
    """If the connection or its login gets no answer within the budget, the batch is applied later, however late."""
    instance = start(proxy.url.removesuffix("/0") + f"/{database}", flush_budget_ms=200)
    if database:
        proxy.lose_reply(to=b"SELECT", then_cut=False)
    else:
        proxy.deafen()
    instance.add('queue="a"')
    with pytest.raises(StoreUnavailable, match="METRICS_FLUSH_BUDGET_MS"):
        await instance.flusher.aflush()
    proxy.listen()
    let_half_a_lease_pass(instance)
    await instance.flush_at_last()
    assert await jobs_total(instance) == 1
    assert await nonzero_samples(instance.store, "kairo_samples_lost") == {}


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_batch_behind_a_broken_login_is_sent_later(start: Start, proxy: Proxy, *, blocking: bool) -> None:
    """If the connection breaks while it logs in, the batch was not sent: it is applied, however late."""
    instance = start(proxy.url.removesuffix("/0") + "/1")
    flush = partial(asyncio.to_thread, instance.flusher.flush) if blocking else instance.flusher.aflush
    proxy.lose_reply(to=b"SELECT")
    proxy.lose_reply(to=b"SELECT", queued=True)
    instance.add('queue="a"')
    with pytest.raises(StoreUnavailable, match="broke") as broken:
        await flush()
    assert not broken.value.sent
    let_half_a_lease_pass(instance)
    await flush()
    assert await jobs_total(instance) == 1
