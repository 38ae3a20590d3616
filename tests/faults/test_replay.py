"""Exactly once: lost replies, lost memory, lost records."""

from __future__ import annotations

import asyncio

import pytest
import redis

from lib.kairo_metrics.delivery import outbox
from lib.kairo_metrics.errors import StoreUnavailable
from lib.kairo_metrics.model.moment import Moment
from lib.kairo_metrics.store.connections import connection as connections
from tests.support.instance import WAIT, Instance, Start, happened, jobs_total
from tests.support.proxy import Proxy


@pytest.mark.parametrize("then_cut", [True, False])
async def test_a_lost_reply_counts_once(start: Start, proxy: Proxy, then_cut: bool) -> None:
    """A reply lost after the script ran, by a cut or by silence, does not make the total wrong."""
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
    """Let the event loop's clock go on by a budget, so that no flush that waits has any of it left."""
    loop, budget_s = asyncio.get_running_loop(), instance.flusher._budget_s
    clock = loop.time
    loop.time = lambda: clock() + budget_s  # type: ignore[method-assign]


async def test_a_blocking_flush_survives_a_lost_reply(start: Start, proxy: Proxy) -> None:
    """The same holds for the blocking flush."""
    instance = start(proxy.url)
    instance.add('queue="a"')
    proxy.lose_reply(to=b"EVALSHA")
    await asyncio.to_thread(instance.flusher.flush)
    assert await jobs_total(instance) == 1


async def test_a_cancelled_flush_loses_nothing(start: Start, proxy: Proxy) -> None:
    """A task cancelled while the reply is due leaves a batch that the next flush settles."""
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
    assert await jobs_total(instance) == 11


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
    assert await jobs_total(instance) == 65
    assert await happened(instance.store, "kairo_samples_lost") == {'kairo_samples_lost_total{family="jobs"}': 6}


async def test_an_emptied_store_costs_a_long_lived_instance_no_more_than_is_told(
    start: Start, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many batches an instance has sent, what it can't send again is counted, family by family."""
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
    lost = await happened(instance.store, "kairo_samples_lost")
    assert await jobs_total(instance) == 100 + sum(range(36, 40))
    assert lost == {
        'kairo_samples_lost_total{family="jobs"}': sum(range(36)),
        'kairo_samples_lost_total{family="wait_seconds"}': 36,
    }


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
    assert await jobs_total(instance) == 11


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
    instance.flusher._outbox._confirmed_at = Moment(float("-inf"), float("-inf"))
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 11


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


async def test_two_instances_both_notice_an_emptied_store(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """What one instance sends again does not hide the loss from the other."""
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
    """A duplicate tells which state it stands in, too."""
    instance = start(proxy.url)
    proxy.lose_reply(to=b"EVAL")
    instance.add('queue="a"')
    await instance.flusher.aflush()
    redis_client.delete(*redis_client.keys("*:writer:*"))
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 2


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_connection_that_broke_during_a_long_sleep_is_not_tried_again_blindly(
    start: Start, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, *, blocking: bool
) -> None:
    """When so much time has passed that the writer's record may be gone, the flush ends, and the next one decides."""
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
