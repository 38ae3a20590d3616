"""What a process has counted with OpenTelemetry when it is forked: exactly one process of the family sends it."""

from __future__ import annotations

import pytest

from tests.faults.test_forks import FORKING, LIVES, THREADS, run
from tests.support.instance import Start, samples
from tests.support.variants import variants

# The same as in the tests of prometheus_client's instruments; the lives of a process call what is defined here.
IMPORT = (
    FORKING
    + """
from types import SimpleNamespace
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from lib.kairo_metrics import KairoMetricReader, flush, install

install()
exponential = View(instrument_name="boot.load", aggregation=ExponentialBucketHistogramAggregation())
provider = MeterProvider([KairoMetricReader(scope_info_enabled=False)], views=[exponential])
meter = provider.get_meter("shop")
meter.create_counter("boots").add(5, {"kind": "cold"})
size, load = meter.create_histogram("boot.size"), meter.create_histogram("boot.load")
for observed in (size, load):
    observed.record(2)
share_of = meter.create_up_down_counter("boot.share")
share_of.add(7)
meter.create_gauge("boot.limit").set(42)
seen = [4]
meter.create_observable_counter("boot.seen", [lambda _: [Observation(seen[0])]])
works = meter.create_counter("boot.work")
work = SimpleNamespace(inc=lambda: works.add(1))
share = SimpleNamespace(inc=share_of.add)

def serve():
    work.inc()
    seen[0] += 1
    flush()
    flush()
"""
)
SHOWN = {
    'boots_total{kind="cold"}': 5,
    "boot_size_count": 1,
    "boot_size_sum": 2,
    "boot_load_count": 1,
    "boot_share": 7,
    "boot_limit": 42,
}
# Those that differ most in who sends what; the others are left to make test-long.
ALWAYS = {"the parent never flushes", "only the parent flushes", "the child flushes first", "both go on"}


@pytest.mark.parametrize("life", variants(LIVES, ALWAYS))
async def test_what_was_counted_before_a_fork_is_sent_once(start: Start, redis_url: str, life: str) -> None:
    """Sums, histograms, gauges and totals of callbacks arrive exactly once, whichever process flushes."""
    code, served = LIVES[life]
    await run(IMPORT + code, redis_url)
    found = await samples(start(redis_url).store, "boot")
    assert {sample: found.get(sample) for sample in SHOWN} == SHOWN
    assert found.get("boot_work_total", 0) == served
    assert found.get("boot_seen_total") == 4 + served


COUNTING = """
def count_once(number):
    works.add(1, {"thread": number})
    size.record(2)

def serve_child():
    works.add(1, {"thread": "child"})
    flush()
    flush()
"""


async def test_forks_while_threads_count_are_exact(start: Start, redis_url: str) -> None:
    """A fork in the midst of other threads' counting loses and doubles nothing, and no child waits for ever."""
    counted = int(await run(IMPORT + COUNTING + THREADS, redis_url))
    found = await samples(start(redis_url).store, "boot")
    assert sum(value for name, value in found.items() if name.startswith("boot_work_total")) == counted + 8
    assert found["boot_size_count"] == counted + 1


CALLBACK = """
def forks(_options):
    wait_for(fork(lambda: None))
    return [Observation(1)]

meter.create_observable_gauge("boot.forks", [forks])
serve()
"""


async def test_a_callback_may_fork(start: Start, redis_url: str) -> None:
    """A callback that starts a process does not wait for itself."""
    await run(IMPORT + CALLBACK, redis_url)
    found = await samples(start(redis_url).store, "boot")
    assert (found["boot_work_total"], found["boot_forks"]) == (1, 1)


async def test_the_end_of_a_script_sends_the_rest(start: Start, redis_url: str) -> None:
    """A script that only counts needs no call of ours at its end: that of the provider sends it."""
    await run(IMPORT.replace("install()\n", ""), redis_url)
    found = await samples(start(redis_url).store, "boot")
    assert {sample: found.get(sample) for sample in SHOWN} == SHOWN
