"""prometheus_client's instruments over shared values: what they record and what they reject."""

from __future__ import annotations

import math
import subprocess
import sys
import threading

import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary

from lib.kairo_metrics import install
from tests.support.adopted import adopted_registry
from tests.support.client_versions import has_remove_by_labels
from tests.support.instance import nonzero_samples
from tests.support.recording import Recording


@pytest.fixture
def registry(recording: Recording) -> CollectorRegistry:
    """Return a registry of the test's own, while the pipeline is open."""
    assert recording
    return adopted_registry()


async def test_a_counter_keeps_its_meaning(recording: Recording, registry: CollectorRegistry) -> None:
    """Increments reach the page, and the program's own registry shows what it always showed."""
    sent = Counter("mails", "Mails sent.", ["to", "by"], registry=registry)
    sent.labels("a", by := "x").inc()
    sent.labels(by=by, to="a").inc(2.5)
    with pytest.raises(ValueError, match="non-negative"):
        sent.labels("a", "x").inc(-1)
    assert await recording.samples("mails") == {'mails_total{by="x",to="a"}': 3.5}
    assert registry.get_sample_value("mails_total", {"to": "a", "by": "x"}) == 3.5


async def test_a_histogram_keeps_its_meaning(recording: Recording, registry: CollectorRegistry) -> None:
    """Buckets are cumulative, and `+Inf`, count and sum are those of all observations."""
    size = Histogram("mail_bytes", "Size.", buckets=(1, 10, 100), registry=registry)
    for amount in (0.5, 1, 7, 1000):
        size.observe(amount)
    assert await recording.samples("mail_bytes") == {
        'mail_bytes_bucket{le="1.0"}': 2,
        'mail_bytes_bucket{le="10.0"}': 3,
        'mail_bytes_bucket{le="100.0"}': 3,
        'mail_bytes_bucket{le="+Inf"}': 4,
        "mail_bytes_count": 4,
        "mail_bytes_sum": 1008.5,
    }
    assert registry.get_sample_value("mail_bytes_bucket", {"le": "10.0"}) == 3


async def test_a_summary_keeps_its_meaning(recording: Recording, registry: CollectorRegistry) -> None:
    """The page has the count and the sum of the observations."""
    wait = Summary("mail_wait", "Wait.", ["to"], registry=registry)
    wait.labels("a").observe(2)
    wait.labels("a").observe(0.5)
    assert await recording.samples("mail_wait") == {'mail_wait_count{to="a"}': 2, 'mail_wait_sum{to="a"}': 2.5}


async def test_gauges_sum_or_show_the_most_recent(recording: Recording, registry: CollectorRegistry) -> None:
    """Mode sum adds and subtracts; mode mostrecent shows the value that was set last."""
    open_mails = Gauge("mails_open", "Open.", multiprocess_mode="sum", registry=registry)
    latest = Gauge("mail_size", "Size.", multiprocess_mode="mostrecent", registry=registry)
    open_mails.set(10)
    open_mails.dec(3)
    latest.set(7)
    latest.set(3)
    with open_mails.track_inprogress():
        assert await recording.samples("mails_open") == {"mails_open": 8}
    assert await recording.samples("mail") == {"mails_open": 7, "mail_size": 3}


async def test_a_new_series_is_sent_at_zero(recording: Recording, registry: CollectorRegistry) -> None:
    """A counter without labels is on the page before its first increment, as with prometheus_client."""
    Counter("mails_lost", "Lost.", registry=registry)
    Counter("mails_found", "Found.", ["by"], registry=registry)
    assert await recording.samples("mails") == {"mails_lost_total": 0}


async def test_the_unit_reaches_the_store(recording: Recording) -> None:
    """The unit of an instrument is in the store with its family."""
    registry = CollectorRegistry()
    Counter("mail_traffic", "Traffic.", unit="bytes", registry=registry).inc()
    install(registry)
    await recording.samples("mail")
    snapshot = await recording.store.snapshot()
    assert [entry.schema.unit for entry in snapshot.entries if entry.schema.name == "mail_traffic_bytes"] == ["bytes"]


async def test_not_a_number_is_counted_as_lost(recording: Recording, registry: CollectorRegistry) -> None:
    """A NaN does not make a shared total NaN for ever; it is counted as a loss."""
    sent = Counter("mails_sent", "Sent.", registry=registry)
    size = Histogram("mails_size", "Size.", registry=registry)
    sent.inc(1)
    sent.inc(math.nan)
    size.observe(math.nan)
    size.observe(2)
    assert await recording.samples("mails_sent_total") == {"mails_sent_total": 1}
    assert await recording.samples("mails_size_sum") == {"mails_size_sum": 2}
    for _ in range(5_000):
        sent.inc(math.nan)
    await recording.pipeline.flusher.aflush()
    assert await nonzero_samples(recording.store, "kairo_batches") == {'kairo_batches_total{outcome="applied"}': 2}
    assert await nonzero_samples(recording.store, "kairo_samples_lost_total") == {
        'kairo_samples_lost_total{family="mails_sent"}': 5_001,
        'kairo_samples_lost_total{family="mails_size"}': 1,
    }


async def test_threads_never_make_half_an_observation(recording: Recording, registry: CollectorRegistry) -> None:
    """When threads observe during flushes, each observation is in the buckets and in the sum."""
    size = Histogram("mail_parts", "Parts.", buckets=(1, 2, 3), registry=registry)
    done = threading.Event()

    def observe(amount: int) -> None:
        for _ in range(2_000):
            size.observe(amount)

    def flush() -> None:
        while not done.is_set():
            recording.pipeline.flusher.flush()

    flushing = threading.Thread(target=flush)
    flushing.start()
    threads = [threading.Thread(target=observe, args=(amount,)) for amount in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    flushing.join()
    parts = await recording.samples("mail_parts")
    assert (parts["mail_parts_count"], parts["mail_parts_sum"]) == (6_000, 12_000)
    assert [parts[f'mail_parts_bucket{{le="{bound}.0"}}'] for bound in (1, 2, 3)] == [2_000, 4_000, 6_000]


ADOPTION = """
import asyncio
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary

registry = CollectorRegistry()
early = Counter("early", "Made and counted before the package was imported.", ["kind"])
early.labels("a").inc(3)
size = Histogram("early_size", "Size.", buckets=(1, 2), registry=registry)
size.observe(1.5)
Summary("early_wait", "Wait.", registry=registry).observe(4)
Gauge("early_open", "Open.", multiprocess_mode="sum", registry=registry).set(5)

from lib.kairo_metrics import Settings, aflush, flush
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import page

settings = Settings(enabled=True)
store = MemoryStore(settings)
for _ in range(2):
    open_pipeline(settings, store, (registry,))
early.labels("a").inc()
early.labels("b").inc()
size.observe(0.5)
flush()
print("\\n".join(line for line in asyncio.run(page(store)).splitlines() if line.startswith("early")))
"""


def test_instruments_made_before_are_adopted_with_what_they_counted() -> None:
    """What an instrument counted before the package was imported is on the page."""
    ran = subprocess.run([sys.executable, "-c", ADOPTION], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [
        'early_total{kind="a"} 4',
        'early_total{kind="b"} 1',
        "early_open 5",
        'early_size_bucket{le="1.0"} 1',
        'early_size_bucket{le="2.0"} 2',
        'early_size_bucket{le="+Inf"} 2',
        "early_size_count 2",
        "early_size_sum 2",
        "early_wait_count 1",
        "early_wait_sum 4",
    ]


FINALIZER = """
import gc
from prometheus_client import Counter
from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore

settings = Settings(enabled=True)
pipeline = open_pipeline(settings, MemoryStore(settings))
dead = Counter("dead", "Objects that are no more.")
made = Counter("made", "Objects that were.", ["kind"])

class Cycle:
    def __init__(self):
        self.me = self
    def __del__(self):
        dead.inc()

gc.set_threshold(20)
for number in range(20_000):
    Cycle()
    made.labels(str(number % 50)).inc()
    if number % 100 == 0:
        pipeline.flusher.flush()
gc.collect()
pipeline.flusher.flush()
assert dead._value.get() == 20_000
"""


def test_a_finalizer_may_increment_at_any_moment() -> None:
    """A finalizer that increments does not block the process, whatever lock its thread holds."""
    subprocess.run([sys.executable, "-c", FINALIZER], check=True, timeout=60)


SIGNALS = """
import signal
from prometheus_client import Counter, Histogram
from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore

settings = Settings(enabled=True)
store = MemoryStore(settings)
pipeline = open_pipeline(settings, store)
ticks = Counter("ticks", "Ticks.")
sizes = Histogram("sizes", "Sizes.")
handled = 0

def tick(*_):
    global handled
    handled += 1
    ticks.inc()
    sizes.observe(1)

signal.signal(signal.SIGALRM, tick)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
for number in range(100_000):
    ticks.inc()
    sizes.observe(1)
    if number % 1_000 == 0:
        pipeline.flusher.flush()
signal.setitimer(signal.ITIMER_REAL, 0)
pipeline.flusher.flush()
assert handled > 100
families = {
    family.schema.name: family.lines[""].numbers
    for family in store._shards[0].families.values()
    if "" in family.lines
}
assert families["ticks"] == [100_000 + handled], (families["ticks"], handled)
assert families["sizes"][0] == sum(families["sizes"][1:]) == 100_000 + handled, (families["sizes"], handled)
"""


def test_a_signal_handler_may_increment_at_any_moment() -> None:
    """Neither the increment of a signal handler nor the one that it interrupts is lost."""
    subprocess.run([sys.executable, "-c", SIGNALS], check=True, timeout=60)


RACE = """
import threading
from prometheus_client import CollectorRegistry, Histogram
from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.process_pipeline import open_pipeline
from lib.kairo_metrics.testing.memory_store import MemoryStore

settings = Settings(enabled=True)
registry = CollectorRegistry()
histograms = [Histogram(f"h{number}", "Size.", registry=registry) for number in range(300)]
failures, done = [], threading.Event()

def observe():
    while not done.is_set():
        for histogram in histograms:
            try:
                histogram.observe(1)
            except Exception as err:
                failures.append(err)

threads = [threading.Thread(target=observe) for _ in range(4)]
for thread in threads:
    thread.start()
open_pipeline(settings, MemoryStore(settings), (registry,))
done.set()
for thread in threads:
    thread.join()
assert not failures, failures[:3]
"""


def test_instruments_in_use_are_adopted_without_an_error() -> None:
    """Threads that observe while an instrument is adopted get no error."""
    subprocess.run([sys.executable, "-c", RACE], check=True, timeout=60)


async def test_methods_take_their_arguments_by_name(recording: Recording, registry: CollectorRegistry) -> None:
    """A program may call prometheus_client's methods with keywords, as it could before."""
    Info("mail_build", "Build.", registry=registry).info(val={"version": "2"})
    Enum("mail_phase", "Phase.", states=["on", "off"], registry=registry).state(state="off")
    Gauge("mail_age", "Age.", multiprocess_mode="mostrecent", registry=registry).set_function(f=lambda: 7.0)
    sent = Counter("mail_sent", "Sent.", ["to"], registry=registry)
    for to in "ab":
        sent.labels(to).inc()
    if has_remove_by_labels:
        sent.remove_by_labels(labels={"to": "a"})
        sent.remove_by_labels({})
    else:
        sent.remove("a")
    assert await recording.samples("mail_") == {
        'mail_build_info{version="2"}': 1,
        'mail_phase{mail_phase="on"}': 0,
        'mail_phase{mail_phase="off"}': 1,
        "mail_age": 7,
        'mail_sent_total{to="b"}': 1,
    }
