"""Instances as real processes: eight of them lose nothing, and killed ones leave no half-applied batch."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import redis

from tests.support.instance import Start, samples
from tests.support.proxy import Proxy
from tests.support.worker_processes import expected, finish, start_worker

REQUESTS = 500
PROCESSES = 8


async def test_eight_processes_count_exactly(start: Start, redis_url: str) -> None:
    """Eight instances, 500 requests each, ten at a time: every counter, bucket and sum is exact."""
    workers = [start_worker(redis_url, REQUESTS, at_once=10) for _ in range(PROCESSES)]
    for worker in workers:
        finish(worker)
    found = await samples(start(redis_url).store, "")
    wanted = expected(REQUESTS, PROCESSES)
    assert {sample: found.get(sample) for sample in wanted} == wanted
    assert 0 < found['kairo_batches_total{outcome="applied"}'] < PROCESSES * REQUESTS / 2  # they share flushes


async def test_killed_processes_leave_nothing_half_applied(
    start: Start, redis_url: str, redis_client: redis.Redis
) -> None:
    """After SIGKILL while they serve, four instances leave no half-applied batch, and the others are exact."""
    killed = [start_worker(redis_url, 10**6) for _ in range(4)]
    try:
        survivors = [start_worker(redis_url, 250) for _ in range(4)]
        _wait_until(lambda: _flushes(redis_client) > 500)
    finally:
        for worker in killed:
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
    for worker in survivors:
        finish(worker)
    found = await samples(start(redis_url).store, "")
    labels = 'method="GET",route="/pieces/{number}"'
    requests = found[f"http_request_duration_seconds_count{{{labels}}}"]
    assert requests > 1_000
    assert found[f'http_request_duration_seconds_bucket{{{labels},le="+Inf"}}'] == requests
    assert found["piece_size_bytes_count"] == found['piece_size_bytes_bucket{le="+Inf"}'] == requests
    assert found['pieces_total{kind="even"}'] + found['pieces_total{kind="odd"}'] == requests
    assert sum(count for sample, count in found.items() if sample.startswith("http_requests_total")) == requests


async def test_processes_behind_a_lossy_network_count_exactly(start: Start, redis_url: str, proxy: Proxy) -> None:
    """With replies lost and connections cut at random, four instances are still exact."""
    workers = [start_worker(proxy.url, 500) for _ in range(4)]
    faults = 0
    while any(worker.poll() is None for worker in workers):
        proxy.lose_reply(to=b"EVALSHA")
        _wait_until(lambda: not proxy.loss_is_pending or all(worker.poll() is not None for worker in workers))
        faults += 1
        if faults % 5 == 0:
            proxy.cut()
    for worker in workers:
        finish(worker)
    assert faults > 5
    found = await samples(start(redis_url).store, "")
    wanted = expected(500, 4)
    assert {sample: found.get(sample) for sample in wanted} == wanted


FORK = """
import os
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary
from lib.kairo_metrics import NativeHistogram, flush, install

install()
jobs = Counter("jobs", "Jobs.")
jobs.inc()
flush()
jobs.inc(10, {"trace_id": "parent"})
observed = NativeHistogram("jobs_native", "N."), Histogram("jobs_classic", "C."), Summary("jobs_summary", "S.")
for instrument in observed:
    instrument.observe(2)
share = Gauge("jobs_share", "G.", multiprocess_mode="sum")
share.inc(1_000)
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        for _ in range(50):
            jobs.inc()
            share.inc()
            for instrument in observed:
                instrument.observe(3)
            flush()
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
flush()
"""


async def test_forked_children_are_separate_instances(start: Start, redis_url: str) -> None:
    """After a fork, what the parent has counted, in instruments of each kind, is sent once, and by the parent."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_NAMESPACE": "development"}
    command = [sys.executable, "-W", "error", "-c", FORK]
    await asyncio.to_thread(subprocess.run, command, env=environment, check=True)
    found = await samples(start(redis_url).store, "jobs")
    assert (found["jobs_total"], found["jobs_share"]) == (211, 1_200)
    for kind in ("native", "classic", "summary"):
        assert (found[f"jobs_{kind}_count"], found[f"jobs_{kind}_sum"]) == (201, 602)


FORK_DURING_IMPORT = """
import asyncio, faulthandler, os, sys
from prometheus_client import Counter
from lib.kairo_metrics import aflush, flush, install

jobs = Counter("jobs", "Jobs.")
install()

async def main():
    jobs.inc()
    flushing = asyncio.ensure_future(aflush())
    while "redis" not in sys.modules:  # the first flush imports it in a thread
        await asyncio.sleep(0.001)
    if child := os.fork():
        await flushing
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    asyncio.events._set_running_loop(None)
    faulthandler.dump_traceback_later(60, exit=True)
    jobs.inc()
    flush()
    os._exit(0)

asyncio.run(main())
"""


async def test_a_child_forked_during_the_first_flush_delivers(start: Start, redis_url: str) -> None:
    """A fork while another thread imports redis leaves a child that can flush, and does not hang."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_NAMESPACE": "development"}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK_DURING_IMPORT]
    await asyncio.to_thread(subprocess.run, command, env=environment, check=True)
    assert (await samples(start(redis_url).store, "jobs"))["jobs_total"] == 2


def _flushes(client: redis.Redis) -> int:
    calls: int = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    return calls


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
