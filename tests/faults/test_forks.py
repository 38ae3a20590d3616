"""What a process has counted and not sent when it is forked: exactly one process of the family sends it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from tests.support.instance import Start, samples
from tests.support.variants import variants

# How a program starts a process that does one thing, and waits for such processes.
FORKING = """
import os, sys

def fork(task):
    if child := os.fork():
        return child
    task()
    os._exit(0)

def wait_for(*children):
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
"""

# Counts with an instrument of each kind, as a program does at its import.
IMPORT = (
    FORKING
    + """
from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary
from lib.kairo_metrics import NativeHistogram, flush, install

install()
boots = Counter("boots", "B.", ["kind"])
boots.labels("cold").inc(5)
boots.labels("warm")
size, wait, load = Histogram("boot_size", "S."), Summary("boot_wait", "W."), NativeHistogram("boot_load", "L.")
for observed in (size, wait, load):
    observed.observe(2)
Info("boot_build", "B.").info({"version": "1.2"})
Enum("boot_phase", "P.", states=["on", "off"]).state("off")
share = Gauge("boot_share", "S.", multiprocess_mode="sum")
share.set(7)
limit = Gauge("boot_limit", "L.", multiprocess_mode="mostrecent")
limit.set(42)
open_now = Gauge("boot_open", "O.", multiprocess_mode="livesum")
open_now.set(3)
highest = Gauge("boot_highest", "H.", multiprocess_mode="max")
highest.set(9)
work = Counter("boot_work", "W.")

parent = os.getpid()

def serve():
    work.inc()
    if os.getpid() != parent:
        highest.set(1)  # of a child alone: the highest stays that of the parent
    flush()
    flush()
"""
)

SHOWN = {
    'boots_total{kind="cold"}': 5,
    'boots_total{kind="warm"}': 0,
    "boot_size_count": 1,
    "boot_size_sum": 2,
    "boot_wait_count": 1,
    "boot_load_sum": 2,
    'boot_build_info{version="1.2"}': 1,
    'boot_phase{boot_phase="off"}': 1,
    "boot_share": 7,
    "boot_limit": 42,
    "boot_open": 3,
    "boot_highest": 9,
}

# What happens after the import, and how often `serve` is called in it.
LIVES = {
    "the parent never flushes": ("wait_for(*[fork(serve) for _ in range(3)])", 3),
    "children one after the other": ("for _ in range(3): wait_for(fork(serve))", 3),
    "only the parent flushes": ("wait_for(*[fork(lambda: None) for _ in range(3)]); serve()", 1),
    "the parent flushes first": (
        """
ready, go = os.pipe()
child = fork(lambda: (os.read(ready, 1), serve()))
serve()
os.write(go, b".")
wait_for(child)
""",
        2,
    ),
    "the child flushes first": ("wait_for(fork(serve)); serve(); wait_for(fork(serve))", 3),
    "both go on": (
        """
child = fork(lambda: [serve() for _ in range(20)])
for _ in range(20):
    serve()
wait_for(child)
""",
        40,
    ),
    "the parent has flushed before": ("serve(); wait_for(*[fork(serve) for _ in range(3)])", 4),
    "a child that counts nothing flushes": ("wait_for(fork(flush))", 0),
    "a daemon": ("wait_for(fork(lambda: (os.closerange(3, 256), wait_for(fork(serve)))))", 1),
    "a child that never flushes": ("fork(work.inc); wait_for(fork(serve))", 1),
    "a child is killed": ("os.kill(pid := fork(lambda: os.read(os.pipe()[0], 1)), 9); os.waitpid(pid, 0); serve()", 1),
    "the parent counts between forks": (
        """
for _ in range(20):
    share.inc(0)
    wait_for(fork(lambda: None))
wait_for(fork(serve))
""",
        1,
    ),
    "a program is started": ("import subprocess; subprocess.run(['true'], preexec_fn=lambda: None); serve()", 1),
    "workers of multiprocessing": (
        """
from multiprocessing import get_context
workers = [get_context("fork").Process(target=serve) for _ in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
""",
        3,
    ),
}


async def run(code: str, redis_url: str) -> str:
    """Run a program that forks, also while it has threads, and return what it prints."""
    environment = {**os.environ, "ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_NAMESPACE": "development"}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    ran = await asyncio.to_thread(
        subprocess.run, command, env=environment, check=True, timeout=60, stdout=subprocess.PIPE, text=True
    )
    return ran.stdout


# Those that differ most in who sends what.
ALWAYS = {"the parent never flushes", "only the parent flushes", "the child flushes first", "both go on", "a daemon"}


@pytest.mark.parametrize("life", variants(LIVES, ALWAYS))
async def test_what_was_counted_at_import_is_sent_once(start: Start, redis_url: str, life: str) -> None:
    """Counters, histograms, infos, gauges and label sets at zero arrive exactly once, whichever process flushes."""
    code, served = LIVES[life]
    await run(IMPORT + code, redis_url)
    found = await samples(start(redis_url).store, "boot")
    assert {sample: found.get(sample) for sample in SHOWN} == SHOWN
    assert found.get("boot_work_total", 0) == served


WITHOUT_SEMAPHORES = """
import _multiprocessing
del _multiprocessing.SemLock
"""


async def test_without_semaphores_the_parent_sends(start: Start, redis_url: str) -> None:
    """Where the system has none, as AWS Lambda, children send nothing of their parent's, and the parent sends it."""
    await run(WITHOUT_SEMAPHORES + IMPORT + "wait_for(*[fork(serve) for _ in range(3)]); serve()", redis_url)
    found = await samples(start(redis_url).store, "boot")
    assert {sample: found.get(sample) for sample in SHOWN} == SHOWN
    assert found["boot_work_total"] == 4


AWAY = """
from lib.kairo_metrics import StoreError
from lib.kairo_metrics.delivery.process_pipeline import current_pipeline

def serve_in_vain():
    pipeline = current_pipeline()
    pipeline.store._settings = pipeline.settings.changed(redis_url="redis://127.0.0.1:1")
    try:
        serve()
    except StoreError:
        os._exit(0)

wait_for(fork(serve_in_vain))
serve()
"""


async def test_a_child_that_can_not_reach_the_store_takes_nothing(start: Start, redis_url: str) -> None:
    """A child takes what its parent left only after a batch of its own has arrived."""
    await run(IMPORT + AWAY, redis_url)
    found = await samples(start(redis_url).store, "boot")
    assert {sample: found.get(sample) for sample in SHOWN} == SHOWN


# Forks while threads call `count_once` with their numbers; each child calls `serve_child`.
THREADS = """
import threading
done = threading.Event()
counted = [0] * 4

def count(number):
    while not done.is_set():
        count_once(number)
        counted[number] += 1

threads = [threading.Thread(target=count, args=(number,)) for number in range(4)]
sys.setswitchinterval(1e-6)
for thread in threads:
    thread.start()
children = [fork(serve_child) for _ in range(8)]
done.set()
for thread in threads:
    thread.join()
wait_for(*children)
flush()
assert counted[0] > 0
print(sum(counted))
"""

COUNTING = """
def count_once(number):
    work.inc()
    size.observe(2)

def serve_child():
    flush()
    flush()
"""


async def test_forks_while_threads_count_are_exact(start: Start, redis_url: str) -> None:
    """A fork in the midst of other threads' increments neither loses nor doubles one."""
    counted = int(await run(IMPORT + COUNTING + THREADS, redis_url))
    found = await samples(start(redis_url).store, "boot")
    assert found["boot_work_total"] == found["boot_size_count"] - 1 == counted


# A thread holds the lock of the setup, and comes to an instrument while another one forks.
SETTING_UP = """
import threading, time
from lib.kairo_metrics.model.fork_locks import SETUP_LOCK
sets_up = threading.Event()

def set_up():
    with SETUP_LOCK:
        sets_up.set()
        time.sleep(0.3)  # the fork waits by then; if it does not yet, it can't find anything wrong
        Counter("boot_late", "L.").inc(2)

thread = threading.Thread(target=set_up, daemon=True)
thread.start()
sets_up.wait()
child = fork(flush)
thread.join(10)
assert not thread.is_alive()
wait_for(child)
flush()
"""


async def test_a_fork_waits_for_a_thread_that_sets_instruments_up(start: Start, redis_url: str) -> None:
    """The fork and the thread take the locks in the same order, so neither waits for the other for ever."""
    await run(IMPORT + SETTING_UP, redis_url)
    assert (await samples(start(redis_url).store, "boot"))["boot_late_total"] == 2
