"""What Redis does for a flush: its own time, the commands inside, the bytes, and how many flushes a second it takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, cast

import redis
from prometheus_client import Histogram
from prometheus_client.utils import floatToGoString

from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.instruments.pending_series import PendingSeries
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.batch import Applied, State
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.command_flow import run_flow
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.script_call import script_text

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

__all__ = ["FLOOR_SCRIPT", "Flushes", "bench_redis_time"]

# One script with the four increments of an ordinary request, and nothing else.
FLOOR_SCRIPT = """
redis.call('HINCRBYFLOAT', KEYS[1], 'requests', 1)
redis.call('HINCRBYFLOAT', KEYS[1], 'bucket', 1)
redis.call('HINCRBYFLOAT', KEYS[1], 'sum', 0.25)
redis.call('HINCRBYFLOAT', KEYS[1], 'errors', 1)
"""
_BLOCKS, _FLUSHES_PER_BLOCK = 15, 200
_WRITERS, _FLUSHES_PER_WRITER = 16, 600
_FEWEST_FLUSHES = 10
_RACES = 3
# What the scripts run; the benchmark itself sends none of these.
_INSIDE = frozenset({"time", "get", "set", "hget", "hmget", "hset", "hlen", "pexpire", "hincrbyfloat"})
_BUCKETS = tuple(floatToGoString(bound) for bound in Histogram.DEFAULT_BUCKETS)
_LABELS = 'method="GET",route="/items/{id}",status="200"'


class Flushes:
    """The commands that one instance sends for its flushes, made by the real recorder, outbox and store.

    Args:
        url: the Redis; the first flush, which announces the families, is sent at once.
        families: how many counters, histograms and error counters a flush has, in turn.
        series: how many series each of them has in a flush.
    """

    def __init__(self, url: str, families: int, series: int = 1) -> None:
        self._store = RedisStore(Settings(enabled=True, redis_url=url, flush_budget_ms=10_000))
        self._recorder = Recorder()
        self._outbox = Outbox(self._recorder, 1)
        self._series = [
            (PendingSeries(schema, f'{_LABELS[:-1]}{number or ""}"'), schema.type == "histogram")
            for schema in map(_schema, range(families))
            for number in range(series)
        ]
        self._state = State()
        with self._store.sync_client() as client:
            batch = self._next()
            verdict = run_flow(self._store.apply(self._outbox.writer, batch), client)
            self._outbox.settle(batch, verdict)
            self._state = cast(Applied, verdict).state
            client.close()

    def _next(self) -> Any:
        with self._recorder.lock:
            for pending, is_histogram in self._series:
                self._recorder.add(pending, 1, 0.25 if is_histogram else 1.0, weight=1.0)
                if is_histogram:
                    self._recorder.add(pending, 7, 1.0)
        return self._outbox.next()

    def commands(self) -> Iterator[tuple[Any, ...]]:
        """Yield the command of each further flush, each to be sent once and in this order."""
        while True:
            batch = self._next()
            flow = self._store.apply(self._outbox.writer, batch)
            yield next(flow)
            try:
                flow.send([b"applied", f"{self._state.incarnation} {self._state.batches}".encode()])
            except StopIteration as end:
                self._outbox.settle(batch, end.value)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a flush costs: Redis' time as a multiple of the floor's, commands inside the script, and bytes sent."""

    floors: float
    commands: float
    sent_bytes: float


def bench_redis_time(url: str) -> None:
    """Measure what Redis does for a flush of 1 to 50 families and 1 to 1,000 series."""
    print("Redis' own time of a flush, floor: EVALSHA of 4 HINCRBYFLOAT in the same run, in turn")
    client = redis.Redis.from_url(url)
    costs: dict[tuple[int, int], _Cost] = {}
    for families, series in ((1, 1), (3, 1), (10, 1), (50, 1), (3, 10), (3, 100), (3, 334)):
        client.flushall()
        costs[families, series] = cost = _measure(client, Flushes(url, families, series), families * series)
        what = f"{families} families, {families * series:,} series"
        print(f"  {what:<32}{cost.floors:8.2f} x floor{cost.commands:8.1f} commands{cost.sent_bytes:10,.0f} bytes")
    family = (costs[50, 1].floors - costs[3, 1].floors) / 47
    print(f"  {'each further family':<32}{family:8.2f} x floor")
    one = (costs[3, 334].floors - costs[3, 1].floors) / (3 * 333)
    print(f"  {'each further series':<32}{one:8.3f} x floor")
    client.flushall()
    pairs = []
    for _ in range(_RACES):
        flushes = _throughput(url, [_packed(url) for _ in range(_WRITERS)])
        pairs.append((_throughput(url, [_packed_floor(client)] * _WRITERS), flushes))
    rate = statistics.median(flushes for _, flushes in pairs)
    ratio = statistics.median(floors / flushes for floors, flushes in pairs)
    print(
        f"  {_WRITERS} writers, the next flushes ready: {rate:,.0f} a second; of the floor's {ratio:.2f} times as many"
    )
    client.close()


def _measure(client: Any, flushes: Flushes, series: int) -> _Cost:
    digest = client.script_load(FLOOR_SCRIPT)
    each = max(_FEWEST_FLUSHES, _FLUSHES_PER_BLOCK // series)
    commands = flushes.commands()
    _send(client, [next(commands) for _ in range(2)])  # the server now holds the script
    found = []
    for _ in range(_BLOCKS):
        block = [next(commands) for _ in range(each)]
        floor_us, _, _ = _send(client, [("EVALSHA", digest, 1, "{floor}")] * _FLUSHES_PER_BLOCK)
        flush_us, inside, sent = _send(client, block)
        found.append(_Cost(flush_us / floor_us, inside, sent))
    return _Cost(
        statistics.median(cost.floors for cost in found),
        statistics.median(cost.commands for cost in found),
        statistics.median(cost.sent_bytes for cost in found),
    )


def _send(client: Any, commands: Sequence[tuple[Any, ...]]) -> tuple[float, float, float]:
    """Send commands one by one; return for each the µs that Redis took, the commands inside it, and its bytes."""
    client.config_resetstat()
    for command in commands:
        try:
            client.execute_command(*command)
        except redis.exceptions.NoScriptError:
            client.eval(script_text("apply.lua"), *command[2:])
    stats = client.info("commandstats")
    inside = sum(stat["calls"] for name, stat in stats.items() if name.removeprefix("cmdstat_") in _INSIDE)
    count = len(commands)
    return stats["cmdstat_evalsha"]["usec"] / count, inside / count, len(_pack(client, commands)) / count


def _pack(client: Any, commands: Iterable[tuple[Any, ...]]) -> bytes:
    connection = client.connection_pool.get_connection()
    packed = b"".join(part for command in commands for part in connection.pack_command(*command))
    client.connection_pool.release(connection)
    return packed


def _packed_floor(client: Any) -> bytes:
    digest = client.script_load(FLOOR_SCRIPT)
    return _pack(client, [("EVALSHA", digest, 1, "{floor}")] * _FLUSHES_PER_WRITER)


def _packed(url: str) -> bytes:
    flushes = Flushes(url, 3).commands()
    client: Any = redis.Redis.from_url(url)
    _send(client, [next(flushes)])
    packed = _pack(client, islice(flushes, _FLUSHES_PER_WRITER))
    client.close()
    return packed


def _throughput(url: str, writers: Sequence[bytes]) -> float:
    """Return how many commands a second Redis takes from processes that have all of theirs ready."""
    context = get_context("fork")
    barrier = context.Barrier(len(writers) + 1)
    processes = [context.Process(target=_write, args=(url, packed, barrier)) for packed in writers]
    for process in processes:
        process.start()
    barrier.wait()
    started_s = time.perf_counter()
    for process in processes:
        process.join()
        if process.exitcode:
            raise AssertionError("a writer failed")
    return len(writers) * _FLUSHES_PER_WRITER / (time.perf_counter() - started_s)


def _write(url: str, packed: bytes, barrier: Barrier) -> None:
    client: Any = redis.Redis.from_url(url)
    connection = client.connection_pool.get_connection()
    connection.connect()
    barrier.wait()
    # In parts, so that neither side waits for the other with a full buffer.
    part = len(packed) // 20 + 1
    for first in range(0, len(packed), part):
        connection.send_packed_command([packed[first : first + part]], check_health=False)
    replies = [connection.read_response() for _ in range(_FLUSHES_PER_WRITER)]
    refused = [reply for reply in replies if isinstance(reply, list) and reply[0] != b"applied"]
    if refused:
        raise AssertionError(f"not applied: {refused[0]}")


def _schema(number: int) -> Schema:
    labels = ("method", "route", "status")
    if number % 3 == 1:
        return Schema(f"bench_latency_{number}_seconds", "histogram", labels, _BUCKETS, help="A histogram.")
    return Schema(f"bench_requests_{number}", "counter", labels, help="A counter of requests, by their route.")


if __name__ == "__main__":
    from lib.kairo_metrics.dev.private_redis import private_redis

    with private_redis() as own_url:
        bench_redis_time(own_url)
