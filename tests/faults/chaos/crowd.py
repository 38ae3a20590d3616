"""Writers that come and go: how much memory each takes in Redis, for how long, and how much an instance keeps."""

from __future__ import annotations

import gc
import time
import tracemalloc
from random import Random
from typing import Any
from unittest import mock

from lib.kairo_metrics.model.batch import Applied, Batch, Writer
from lib.kairo_metrics.store import apply_batch as script
from lib.kairo_metrics.store.command_flow import run_flow
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.faults.chaos.lab import Lab
from tests.support.instance import memory_instance

__all__ = ["instance_kilobytes", "writers_come_and_go"]

_MANY, _SOME = 100_000, 2_000
# Long enough for all records to exist at once, and short enough for a test to wait.
_LEASE_S, _SHORT_LEASE_S = 60, 1
_AT_ONCE = 500
_GONE_WITHIN_S = 120.0
# The share of the memory that the server does not return.
_LEFT_OVER = 0.05
_FULL = 8_500  # requests after which an instance's memory is at its maximum


def writers_come_and_go(lab: Lab) -> None:
    """A hundred thousand writers send one batch each and end; their records expire."""
    writers = _MANY if lab.thorough else _SOME
    client: Any = lab.server.client
    batch = _first_batch(lab)
    with mock.patch.object(script, "WRITER_LEASE_S", _LEASE_S if lab.thorough else _SHORT_LEASE_S):
        _apply(lab, batch, 1)
        before, keys_before = client.info("memory")["used_memory"], _keys(client)
        for start in range(0, writers, _AT_ONCE):
            _apply(lab, batch, min(_AT_ONCE, writers - start))
            lab.tick(start / writers)
    keys, there = _keys(client) - keys_before, client.info("memory")["used_memory"]
    if keys > 0:
        lab.books.facts.append(f"{keys:,} records of writers, {(there - before) / keys:.0f} bytes each")
    deadline_s = time.monotonic() + _GONE_WITHIN_S
    while (left := _keys(client)) >= keys_before and time.monotonic() < deadline_s:
        time.sleep(0.2)
    kept = client.info("memory")["used_memory"] - before
    lab.books.facts.append(f"{kept / 1024:+,.0f} KB after they have expired")
    if left >= keys_before:
        lab.books.wrong.append(f"{left - keys_before + 1} records of writers have not expired")
    if lab.thorough and kept > _LEFT_OVER * (there - before):
        lab.books.wrong.append(f"{kept:,} of {there - before:,} bytes are still in use")
    if lab.thorough:
        lab.books.facts.append(f"an instance keeps {instance_kilobytes():.0f} KB")


def _first_batch(lab: Lab) -> Batch:
    """Return the first batch of an instance, with the number 1."""
    instance = lab.instances[0]
    instance.record()
    batch = instance.flusher._outbox.next()
    assert batch is not None
    instance.deliver()
    return batch._replace(seq=1)


def _apply(lab: Lab, batch: Batch, writers: int) -> None:
    chosen = lab.settings.changed(redis_url=lab.server.url, namespace="crowd")
    if writers == 1:  # the server may not have the script yet
        with RedisStore(chosen).sync_client() as link:
            assert isinstance(run_flow(script.apply_batch(chosen, _writer(lab), batch), link), Applied)
            link.close()
        return
    pipeline: Any = lab.server.client.pipeline(transaction=False)
    for _ in range(writers):
        pipeline.execute_command(*next(script.apply_batch(chosen, _writer(lab), batch)))
    assert {reply[0] for reply in pipeline.execute()} == {b"applied"}


def _writer(lab: Lab) -> Writer:
    return Writer(f"{lab.chance.getrandbits(64):016x}", 0)


def _keys(client: Any) -> int:
    count: int = client.dbsize()
    return count


def instance_kilobytes(more: int = 2_000) -> float:
    """Return the memory in KB that an instance uses to be able to send batches again, at its maximum.

    Args:
        more: the number of further requests that must not change it.

    Raises:
        AssertionError: if it still grows.
    """
    instance = memory_instance()
    chance = Random(0)

    def serve(requests: int) -> int:
        for _ in range(requests):
            for queue in "abc":
                instance.add(f'queue="{queue}"', chance.randrange(1, 1_000))
            instance.flusher.flush()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        empty = serve(1)
        full = serve(_FULL)
        later = serve(more)
    finally:
        tracemalloc.stop()
    assert later < full * 1.05, f"it still grows, from {full} to {later} bytes"
    return (full - empty) / 1024
