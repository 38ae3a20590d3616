"""Opening the process's one pipeline, from many threads and across a fork."""

from __future__ import annotations

import subprocess
import sys

THREADS = """
import asyncio, sys, threading
from prometheus_client import CollectorRegistry, Counter, Histogram
from lib.kairo_metrics import Settings, install, instrument
from lib.kairo_metrics.delivery.process_pipeline import close_pipeline, current_pipeline, open_pipeline
from lib.kairo_metrics.entrypoints.asgi import ASGIEntry
from lib.kairo_metrics.entrypoints.in_place import entry_of
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import samples

ROUNDS, THREADS = 60, 8
sys.setswitchinterval(1e-6)

async def app(scope, receive, send): ...

async def main():
    for number in range(ROUNDS):
        close_pipeline()
        registry, settings = CollectorRegistry(), Settings(enabled=True)
        early = [Counter(f"early_{i}", "Early.", ["kind"], registry=registry) for i in range(5)]
        waits = Histogram("waits", "Waits.", buckets=(1,), registry=registry)
        for counter in early:
            counter.labels("a").inc(3)
        waits.observe(2)
        store, barrier, opened, failed = MemoryStore(settings), threading.Barrier(THREADS), [], []

        def first_request():
            barrier.wait(timeout=30)
            try:
                open_pipeline(settings, store, (registry,))
                opened.append(entry_of(instrument(app, settings=settings, store=store), ASGIEntry).pipeline)
            except Exception as err:
                failed.append(err)

        threads = [threading.Thread(target=first_request) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed
        assert len(opened) == THREADS and len(set(map(id, opened))) == 1, (number, opened)
        assert opened[0] is current_pipeline()
        await opened[0].flusher.aflush()
        assert await samples(store, "early") == {f'early_{i}_total{{kind="a"}}': 3 for i in range(5)}, number
        assert (await samples(store, "waits"))["waits_sum"] == 2, number

asyncio.run(main())
"""


def test_threads_that_open_the_pipeline_at_once_share_one() -> None:
    """Eight first requests in eight threads get one pipeline, and what was counted before is carried over once."""
    subprocess.run([sys.executable, "-c", THREADS], check=True, timeout=120)


FORK = """
import os, signal, sys, threading
from prometheus_client import CollectorRegistry, Counter
from lib.kairo_metrics import Settings, flush
from lib.kairo_metrics.delivery.process_pipeline import current_pipeline, open_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore

settings = Settings(enabled=True)
store = MemoryStore(settings)
inside, forking = threading.Event(), threading.Event()

class SlowRegistry(CollectorRegistry):
    '''Keeps the thread that adopts it inside the set-up until the process forks.'''

    @property
    def _collector_to_names(self):
        inside.set()
        assert forking.wait(30)
        return {}

    @_collector_to_names.setter
    def _collector_to_names(self, _):
        pass

opening = threading.Thread(target=open_pipeline, args=(settings, store, (SlowRegistry(),)))
opening.start()
assert inside.wait(30)
os.register_at_fork(before=forking.set)
child = os.fork()
signal.alarm(60)  # a process that hangs ends with a failure
pipeline = open_pipeline(settings, store)
assert pipeline is current_pipeline()
counter = Counter("after", "After the fork.")
counter.inc()
flush()
assert not pipeline.flusher.pending
if child == 0:
    os._exit(0)
opening.join()
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_fork_while_a_thread_opens_the_pipeline_does_not_hang_the_child() -> None:
    """A worker that is forked while another thread sets up opens the pipeline and delivers; so does its parent."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK],
        check=False,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
