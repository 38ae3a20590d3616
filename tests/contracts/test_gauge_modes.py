"""Gauges that instances share, compared with prometheus_client's own collector for several processes."""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client import values as prometheus_client_values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.values import MultiProcessValue

from lib.kairo_metrics.exposition.text import render
from lib.kairo_metrics.model.moment import CLOCKS, Moment
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.adopted import adopted_registry
from tests.support.client_versions import needs_closed_files
from tests.support.examples import examples
from tests.support.instance import page, scrape_once, settings
from tests.support.program import Program, apart
from tests.support.recording import Recording
from tests.support.store_clock import age_state, wait_for_ticks

pytestmark = [needs_closed_files, pytest.mark.slow]

MODES = ["all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"]
LEASE_S = 300
_BEATS = Schema("beats", "counter", ("of",))
Samples = dict[tuple[tuple[str, str], ...], float]


def call(method: str, number: float) -> Callable[[Any], None]:
    """Return a use of a gauge."""
    return lambda gauge: getattr(gauge, method)(number)


class Fleet:
    """Instances of ours, and processes of prometheus_client that make the same calls."""

    def __init__(self, mode: str, folder: Path, redis_url: str | None = None) -> None:
        self.mode = mode
        self.folder = folder
        self.now_ms = int(time.time() * 1000)
        self.settings = settings(redis_url, instance_lease_s=LEASE_S)
        self._redis = redis.Redis.from_url(redis_url) if redis_url else None
        # Redis has its own clock. Without Redis only the test moves the clock.
        self._clocks = CLOCKS if redis_url else (lambda: self.now_ms / 1000,) * 2
        memory = MemoryStore(self.settings, lambda: self.now_ms, self._clocks)
        self.store: Store = RedisStore(self.settings) if redis_url else memory
        self.programs: dict[int, Program] = {}
        self._processes: dict[int, tuple[Any, Any]] = {}

    def start(self, number: int) -> None:
        """Start an instance and a process with this number."""
        program = self.programs[number] = Program(self.store, self.settings, str(number), self._clocks)
        with program.running():
            program.instruments["load"] = self._gauge(program.registry)
        value_class = MultiProcessValue(lambda: number)
        with apart(value_class):
            self._processes[number] = value_class, self._gauge(CollectorRegistry())

    def _gauge(self, registry: CollectorRegistry) -> Gauge:
        return Gauge("load", "Load.", ["room"], multiprocess_mode=self.mode, registry=registry)  # type: ignore[arg-type]

    def do(self, number: int, room: str, use: Callable[[Any], None]) -> None:
        """Make the call in the instance and in the process."""
        self.now_ms += 10
        if "mostrecent" in self.mode:
            # prometheus_client takes the time of a `set` from this machine's clock; Redis stores milliseconds.
            wait_for_ticks(self._redis)
        program = self.programs[number]
        with program.running():
            use(program.instruments["load"].labels(room))
        program.flush()
        value_class, gauge = self._processes[number]
        with apart(value_class):
            use(gauge.labels(room))

    def end(self, number: int) -> None:
        """Let an instance's lease run out, while the others renew theirs."""
        del self.programs[number]
        self.now_ms += (LEASE_S + 1) * 1000
        for program in self.programs.values():
            program.renew()
        mark_process_dead(number, str(self.folder))

    def expected(self) -> Samples:
        """Return what prometheus_client shows, with the instance's id instead of the process's."""
        registry = adopted_registry()
        MultiProcessCollector(registry, path=str(self.folder))
        return {
            tuple(sorted(("instance_id" if name == "pid" else name, value) for name, value in sample.labels.items())): (
                sample.value
            )
            for family in registry.collect()
            for sample in family.samples
        }

    async def shown(self) -> Samples:
        """Return what a scrape shows."""
        text = await page(self.store)
        if isinstance(self.store, RedisStore):
            await self.store.aclose()
        return _samples(text)


def _samples(text: str) -> Samples:
    families = {family.name: family for family in text_string_to_metric_families(text)}
    found = families["load"].samples if "load" in families else []
    return {tuple(sorted(sample.labels.items())): sample.value for sample in found}


@contextmanager
def process_files() -> Iterator[Path]:
    """Give a folder for the files of prometheus_client's processes, and close them at the end."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("PROMETHEUS_MULTIPROC_DIR", folder)
        yield Path(folder)
        prometheus_client_values.close_all_multiprocess_files()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give one test the folder for these files."""
    with process_files() as path:
        yield path


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda number: round(number, 3))
USES = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from("ab"), st.sampled_from(["inc", "dec", "set"]), NUMBERS), max_size=12
)


@pytest.mark.parametrize("mode", MODES)
@given(uses=USES, ended=st.sets(st.integers(1, 3), max_size=2))
@hypothesis_settings(max_examples=examples(12), deadline=None)
def test_instances_show_what_processes_would_show(
    mode: str, uses: list[tuple[int, str, str, float]], ended: set[int]
) -> None:
    """For any calls of three instances, and any of them ending, each mode shows what prometheus_client shows."""
    with process_files() as folder:
        fleet = Fleet(mode, folder)
        for number in (1, 2, 3):
            fleet.start(number)
        for number, room, use, amount in uses:
            verb = "set" if "mostrecent" in mode else use
            fleet.do(number, room, call(verb, amount))
        assert asyncio.run(fleet.shown()) == pytest.approx(fleet.expected(), abs=1e-6)
        if mode == "all":
            return  # another test checks what is kept of ended instances
        for number in ended:
            fleet.end(number)
        assert asyncio.run(fleet.shown()) == pytest.approx(fleet.expected(), abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
@given(uses=USES)
@hypothesis_settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_instances_show_the_same_through_redis(
    redis_server: str, mode: str, uses: list[tuple[int, str, str, float]]
) -> None:
    """With Redis each mode shows what prometheus_client shows, too."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    with process_files() as folder:
        fleet = Fleet(mode, folder, redis_server)
        for number in (1, 2, 3):
            fleet.start(number)
        for number, room, use, amount in uses:
            fleet.do(number, room, call("set" if "mostrecent" in mode else use, amount))
        assert asyncio.run(fleet.shown()) == pytest.approx(fleet.expected(), abs=1e-6)


async def test_mode_all_keeps_one_value_of_all_that_have_ended(folder: Path) -> None:
    """Of all instances that have ended, only the newest value stays, however many there were."""
    fleet = Fleet("all", folder)
    for number in range(1, 6):
        fleet.start(number)
        fleet.do(number, "a", call("set", number))
    for number in range(1, 5):
        fleet.end(number)
    ended = (("instance_id", "__ended__"), ("room", "a"))
    assert await fleet.shown() == {ended: 4, (("instance_id", "5"), ("room", "a")): 5}


@pytest.mark.parametrize("mode", MODES)
def test_what_is_stored_does_not_grow_with_the_instances_that_have_ended(
    mode: str, redis_url: str, redis_client: Any
) -> None:
    """A scrape folds the values of ended instances in Redis into one, and shows the same before and after."""
    chosen = settings(redis_url, instance_lease_s=LEASE_S)
    store = RedisStore(chosen)
    programs = [Program(store, chosen, str(number)) for number in range(4)]
    for number, program in enumerate(programs):
        with program.running():
            gauge = Gauge("load", "Load.", ["room"], multiprocess_mode=mode, registry=program.registry)  # type: ignore[arg-type]
            gauge.labels("a").set(number + 10)
            program.instruments["load"] = gauge
        program.flush()
        wait_for_ticks(redis_client)
    age_state(redis_client, (LEASE_S + 1) * 1000)
    programs[0].renew()

    async def scrape() -> Samples:
        with programs[0].running():
            taken = await scrape_once(store, chosen, programs[0]._flusher)
        await store.aclose()
        return _samples(b"".join(render(taken.families)).decode())

    before = asyncio.run(scrape())
    [key] = redis_client.keys("*:series:load:*")
    fields = {field.decode() for field in redis_client.hkeys(key)}
    assert 0 < redis_client.pttl(key) <= chosen.series_ttl_s * 1125
    assert asyncio.run(scrape()) == before
    one_instance = {'instance_id="0",room="a"'}
    kept = {'instance_id="__ended__",room="a"'}
    shared = {'room="a"'}
    assert fields == (shared if mode in {"sum", "mostrecent"} else one_instance | (set() if "live" in mode else kept))
    assert (
        set(before.values())
        == {
            "all": {10.0, 13.0},
            "liveall": {10.0},
            "min": {10.0},
            "livemin": {10.0},
            "max": {13.0},
            "livemax": {10.0},
            "sum": {46.0},
            "livesum": {10.0},
            "mostrecent": {13.0},
            "livemostrecent": {10.0},
        }[mode]
    )


async def test_requests_in_progress_of_a_killed_instance_are_removed(folder: Path) -> None:
    """The requests that a killed instance had in progress leave the page when its lease ends."""
    fleet = Fleet("livesum", folder)
    for number in (1, 2):
        fleet.start(number)
        fleet.do(number, "a", lambda gauge: gauge.track_inprogress().__enter__())
    assert await fleet.shown() == {(("room", "a"),): 2}
    fleet.end(1)
    assert await fleet.shown() == {(("room", "a"),): 1}


async def test_a_gauge_stays_while_its_instance_is_in_use(folder: Path) -> None:
    """A gauge that was set once is shown while its instance sends anything, and again when the instance comes back."""
    fleet = Fleet("liveall", folder)
    fleet.start(1)
    fleet.do(1, "a", call("set", 7))
    shown = {(("instance_id", "1"), ("room", "a")): 7.0}
    program = fleet.programs[1]
    for _ in range(5):
        fleet.now_ms += (LEASE_S - 1) * 1000
        program._outbox._renewed_at = Moment(0.0, 0.0)  # a renewal is due
        with program.running():
            program._flusher.recorder.count(_BEATS, "x")
        program.flush()
        assert await fleet.shown() == shown
    fleet.now_ms += 10 * LEASE_S * 1000
    assert await fleet.shown() == {}
    program.renew()
    assert await fleet.shown() == shown


@pytest.mark.parametrize("numbers", [[math.inf], [-math.inf], [math.nan], [math.inf, -math.inf], [math.inf, 3, 4]])
@pytest.mark.parametrize("mode", ["sum", "livesum"])
async def test_a_sum_with_infinity_recovers(mode: str, numbers: list[float], folder: Path) -> None:
    """Infinity or NaN makes the sum infinite or NaN only while an instance holds it."""
    fleet = Fleet(mode, folder)
    for number, held in enumerate(numbers):
        fleet.start(number)
        fleet.do(number, "a", call("set", held))
    assert await fleet.shown() == pytest.approx({(("room", "a"),): sum(numbers)}, nan_ok=True)
    for number in range(len(numbers)):
        fleet.do(number, "a", call("set", 1))
    assert await fleet.shown() == {(("room", "a"),): len(numbers)}


async def test_a_gauge_follows_its_function(recording: Recording) -> None:
    """The function is called at each flush; if it fails, the failure is counted and the rest is sent."""
    registry = adopted_registry()
    answers: list[Any] = [3, 4, "nothing"]
    gauge = Gauge("queue_length", "Length.", multiprocess_mode="livesum", registry=registry)
    gauge.set_function(lambda: answers[0])
    assert await recording.samples("queue_length") == {"queue_length": 3}
    del answers[0]
    assert await recording.samples("queue_length") == {"queue_length": 4}
    assert registry.get_sample_value("queue_length") == 4
    del answers[0]
    assert await recording.samples("queue_length") == {"queue_length": 4}
    lost = await recording.samples('kairo_samples_lost_total{family="queue_length"}')
    assert list(lost.values()) == [2]  # this flush has called it as well


async def test_the_time_and_a_duration_can_be_set(recording: Recording) -> None:
    """`set_to_current_time` and `time` work as they do with prometheus_client."""
    registry = adopted_registry()
    last = Gauge("last_run", "Last.", multiprocess_mode="max", registry=registry)
    took = Gauge("run_took", "Took.", multiprocess_mode="mostrecent", registry=registry)
    before = time.time()
    last.set_to_current_time()
    with took.time():
        pass
    shown = await recording.samples("last_run") | await recording.samples("run_took")
    assert before <= shown["last_run"] <= time.time()
    assert 0 < shown["run_took"] < 60


async def test_a_gauge_with_the_label_instance_id_is_left_out(recording: Recording) -> None:
    """In a mode with a value for each instance the label would be overwritten, so the gauge is not sent, but works."""
    registry = adopted_registry()
    Gauge("in_sum", "A.", ["instance_id"], multiprocess_mode="sum", registry=registry).labels("x").set(1)
    Gauge("in_all", "B.", ["instance_id"], registry=registry).labels("x").set(1)
    assert await recording.samples("in_") == {'in_sum{instance_id="x"}': 1}
    assert registry.get_sample_value("in_all", {"instance_id": "x"}) == 1
