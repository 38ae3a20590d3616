"""Random programs over several instances, compared with one registry of prometheus_client that does the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Enum, Histogram, Info, Summary
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.values import MutexValue

from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.client_versions import has_remove_by_labels, removes_unknown_labels
from tests.support.examples import examples
from tests.support.instance import page, settings
from tests.support.program import Program, apart

Instruments = dict[str, Any]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True)
class Use:
    """One call of an instrument.

    Args:
        instance: the number of the instance that makes it.
        instrument: which one is used.
        labels: of the child; None uses the instrument itself.
        call: what is done.
        ordered: whether its result depends on earlier calls of other instances.
    """

    instance: int
    instrument: str
    labels: tuple[str, ...] | None
    call: Callable[[Any], None]
    ordered: bool
    text: str

    def on(self, instruments: Instruments) -> None:
        """Make the call."""
        instrument = instruments[self.instrument]
        self.call(instrument if self.labels is None else instrument.labels(*self.labels))

    def __repr__(self) -> str:
        return f"{self.instance}: {self.instrument}{list(self.labels or ())}.{self.text}"


def make(registry: CollectorRegistry) -> Instruments:
    """Declare the program's instruments."""
    return {
        "counter": Counter("jobs", "Jobs.", ["queue", "by"], registry=registry),
        "bare": Counter("boots", "Boots.", registry=registry),
        "histogram": Histogram("wait", "Wait.", ["queue"], buckets=(0.5, 1, 2.5), registry=registry),
        "summary": Summary("size", "Size.", ["queue"], registry=registry),
        "info": Info("build", "Build.", ["part"], registry=registry),
        "enum": Enum("phase", "Phase.", ["part"], states=["idle", "busy", "done"], registry=registry),
    }


NAMES = st.sampled_from(["a", "b", 'odd "one"\\\n {x="y"} 100%'])
AMOUNTS = st.integers(0, 1_000).map(lambda number: number / 8)  # eighths add up exactly, in any order
INFOS = st.dictionaries(st.sampled_from(["version", "commit"]), NAMES)


@st.composite
def one_use(draw: st.DrawFn) -> Use:
    """Draw one call."""
    instance = draw(st.integers(0, 2))
    name, other = draw(NAMES), draw(NAMES)
    amount, state, info = draw(AMOUNTS), draw(st.sampled_from(["idle", "busy", "done"])), draw(INFOS)
    kinds: list[tuple[str, tuple[str, ...] | None, Callable[[Any], None], bool, str]] = [
        ("counter", (name, other), lambda counter: counter.inc(amount), False, f"inc({amount})"),
        ("counter", (name, other), lambda counter: counter.reset(), True, "reset()"),
        ("counter", None, lambda counter: counter.remove(name, other), True, f"remove({name!r}, {other!r})"),
        ("counter", None, lambda counter: counter.remove_by_labels({"queue": name}), True, f"remove_by({name!r})"),
        ("counter", None, lambda counter: counter.clear(), True, "clear()"),
        ("bare", None, lambda counter: counter.inc(amount), False, f"inc({amount})"),
        ("bare", None, lambda counter: counter.reset(), True, "reset()"),
        ("histogram", (name,), lambda histogram: histogram.observe(amount / 32), False, f"observe({amount / 32})"),
        ("histogram", None, lambda histogram: histogram.remove(name), True, f"remove({name!r})"),
        ("summary", (name,), lambda summary: summary.observe(amount), False, f"observe({amount})"),
        ("summary", None, lambda summary: summary.clear(), True, "clear()"),
        ("info", (name,), lambda shown: shown.info(info), True, f"info({info})"),
        ("info", None, lambda shown: shown.remove(name), True, f"remove({name!r})"),
        ("enum", (name,), lambda shown: shown.state(state), True, f"state({state!r})"),
        ("enum", None, lambda shown: shown.clear(), True, "clear()"),
    ]
    if not has_remove_by_labels:
        kinds = [kind for kind in kinds if not kind[-1].startswith("remove_by")]
    if not removes_unknown_labels:
        kinds = [kind for kind in kinds if not kind[-1].startswith("remove(")]
    return Use(instance, *draw(st.sampled_from(kinds)))


class Comparison:
    """Three instances, and one registry that makes the calls of all three."""

    def __init__(self, store: Store, now: Any) -> None:
        self._store = store
        self._pass = now
        self._programs = [Program(store, settings(), str(number)) for number in range(3)]
        for program in self._programs:
            with program.running():
                program.instruments |= make(program.registry)
        self._registry = CollectorRegistry()
        with apart(MutexValue):
            self._instruments = make(self._registry)

    def do(self, use: Use) -> None:
        """Make the call on an instance and on the registry; before an ordered call, flush all instances."""
        if use.ordered:
            self.flush()
        program = self._programs[use.instance]
        with program.running():
            use.on(program.instruments)
        if use.ordered:
            program.flush()
            self._pass()
        with apart(MutexValue):
            use.on(self._instruments)

    def flush(self) -> None:
        """Let every instance send what it has."""
        for program in self._programs:
            program.flush()

    def expected(self) -> Samples:
        """Return the samples of the one registry."""
        with apart(MutexValue):
            return {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for family in self._registry.collect()
                for sample in family.samples
                if not sample.name.endswith("_created")
            }

    def shown(self) -> Samples:
        """Return the samples of a scrape, without those about the pipeline."""

        async def scrape() -> str:
            text = await page(self._store)
            if isinstance(self._store, RedisStore):
                await self._store.aclose()
            return text

        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(asyncio.run(scrape()))
            for sample in family.samples
            if not family.name.startswith("kairo_")
        }


def run(store: Store, uses: list[Use], now: Callable[[], None]) -> None:
    """Run a program and compare."""
    comparison = Comparison(store, now)
    for use in uses:
        comparison.do(use)
    comparison.flush()
    assert comparison.shown() == comparison.expected()


USES = st.lists(one_use(), max_size=25)


@given(uses=USES)
@hypothesis_settings(max_examples=examples(75), deadline=None)
def test_instances_show_what_one_process_would_show(uses: list[Use]) -> None:
    """However calls are spread over instances, the page equals that of one process that made all of them."""
    clock = [1_764_000_000_000]

    def pass_time() -> None:
        clock[0] += 1_000  # the age of a batch is measured in real time, which passes on a busy machine

    run(MemoryStore(settings(), lambda: clock[0]), uses, pass_time)


@pytest.mark.parametrize("cached", [False, True])
@given(uses=st.lists(one_use(), max_size=12))
@hypothesis_settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_instances_show_the_same_through_redis(redis_server: str, *, cached: bool, uses: list[Use]) -> None:
    """With Redis the page is the same too, whether the server has the script already or not."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        if not cached:
            client.script_flush()
    store = RedisStore(settings(redis_server))
    try:
        # Redis' clock counts milliseconds; of two values set in the same one, the later one wins.
        run(store, uses, lambda: None)
    finally:
        asyncio.run(store.aclose())
