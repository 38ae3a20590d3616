"""Nothing of one test is seen in another: what the instruments of a program count in blocks of `isolated_metrics`."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY, Counter, Gauge
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lib.kairo_metrics import (
    KairoError,
    Settings,
    aflush,
    flush,
    install,
    instrument,
    measured,
)
from lib.kairo_metrics.delivery.process_pipeline import current_settings
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.testing import counted, isolated_metrics, page
from tests.support.isolated_program import (
    LAZY,
    MODES,
    OWN,
    QUEUE,
    ROOMS,
    SOLD,
    SOLD_MAPS,
    STARTS,
    nightly,
    use_everything,
)
from tests.support.recording import Recording


@pytest.fixture(autouse=True)
def _install() -> None:
    install(OWN)  # as the user's module does, with metrics off


@pytest.mark.parametrize("ends_with_pending", [True, False])
def test_a_block_begins_at_zero(ends_with_pending: bool) -> None:
    """Each test counts from zero, reads what it has counted, and finds gauges as the import of the module left them."""
    for _ in range(3):
        QUEUE.clear()
        with isolated_metrics():
            assert [counted(name) for name in ("iso_sold_total", "iso_starts_total", "iso_wait_seconds_count")] == [
                0
            ] * 3
            assert [counted(name) for name in ("iso_size_bytes_sum", "iso_upload_bytes_count", "iso_queue")] == [0] * 3
            assert {mode: counted(f"iso_{mode}") for mode in MODES} == dict.fromkeys(MODES, 3)
            assert (counted("iso_build_info", version=7), counted("iso_state", iso_state="open")) == (1, 1)
            assert 'kind="book"' not in page()
            assert (
                'iso_sold_total{kind="map"} 0\n' in page()
            )  # made by the module, so Prometheus sees it from the start
            use_everything()
            assert (counted("iso_sold_total", kind="book"), counted("iso_sold_total")) == (1, 4)
            assert (counted("iso_starts_total"), counted("iso_wait_seconds_sum", to="a")) == (1, 1)
            assert (counted("iso_size_bytes_sum"), counted("iso_upload_bytes_sum"), counted("iso_queue")) == (10, 10, 1)
            assert {mode: counted(f"iso_{mode}") for mode in MODES} == dict.fromkeys(MODES, 8)
            assert (counted("iso_build_info", version=7), counted("iso_build_info", version=8)) == (0, 1)
            assert counted("iso_state", iso_state="shut") == 1
            assert counted("function_cold_starts_total", function="nightly") == 1
            if ends_with_pending:
                use_everything()


def test_the_program_s_own_registry_is_as_before() -> None:
    """What a test has counted is not in the program's own registry after it, for a test that reads that one."""
    QUEUE.clear()
    before = {(one.name, *one.labels.items()): one.value for family in OWN.collect() for one in family.samples}
    with isolated_metrics():
        use_everything()
        assert OWN.get_sample_value("iso_sold_total", {"kind": "book"}) == 1
    QUEUE.clear()
    assert {(one.name, *one.labels.items()): one.value for family in OWN.collect() for one in family.samples} == before


def test_a_child_that_the_program_keeps() -> None:
    """A program may keep a child that it makes in one test; in the next it counts from zero, and none of it is lost."""
    for name in ("first", "second", "third"):
        with isolated_metrics():
            if not LAZY:
                LAZY["sold"], LAZY["gauge"] = SOLD.labels("lazy"), Gauge("iso_lazy", "x", ["a"]).labels("b")
            assert counted("iso_sold_total", kind="lazy") == 0, name
            LAZY["sold"].inc()
            LAZY["gauge"].set(4)
            assert counted("iso_sold_total", kind="lazy") == 1, name
            assert counted("iso_lazy") == 4, name
            LAZY["sold"].inc()  # and is pending when the test ends
    LAZY.clear()


def test_a_metric_that_a_test_declares_is_gone_after_it() -> None:
    """Two tests, or two calls of an app factory in two tests, may declare the same metric, each with its own labels."""
    for labels in (["a"], ["b"], []):
        with isolated_metrics():
            declared = Counter("iso_declared_total", "Declared.", labels)
            (declared.labels("x") if labels else declared).inc()
            assert counted("iso_declared_total", **dict.fromkeys(labels, "x")) == 1
            with pytest.raises(ValueError, match="Duplicated"):
                Counter("iso_declared_total", "Declared.")  # in one test it is the error that it is in production
    assert "iso_declared" not in REGISTRY._names_to_collectors
    with isolated_metrics(), pytest.raises(LookupError):
        counted("iso_declared_total")


def test_a_module_that_a_test_imports() -> None:
    """A module is imported once, so its instruments and its app stay for the later tests, and count from zero there."""
    sys.modules.pop("tests.support.late_shop", None)
    late: Any = None
    for _ in range(3):
        with isolated_metrics():
            late = importlib.import_module("tests.support.late_shop")
            assert counted("late_orders_total") == counted("http_requests_total") == 0
            late.LATE.labels("book").inc()
            TestClient(late.app).get("/")
            assert counted("late_orders_total", kind="book") == counted("http_requests_total", status=404) == 1
    REGISTRY.unregister(late.LATE)


def test_blocks_in_each_other() -> None:
    """An inner block counts for itself, and the outer one goes on where it was."""
    with isolated_metrics() as outer:
        SOLD.labels("book").inc()
        ROOMS["sum"].set(9)
        Counter("iso_outer_total", "x").inc()
        with isolated_metrics(Settings(enabled=True, max_series=7)) as inner:
            assert (counted("iso_sold_total"), counted("iso_sum"), counted("iso_outer_total")) == (0, 3, 0)
            SOLD.labels("book").inc(5)
            nightly()
            assert counted("iso_sold_total", kind="book") == 5
            assert counted("kairo_max_series") == 7
            assert inner.store is not outer.store
        assert (counted("iso_sold_total"), counted("iso_sum"), counted("iso_outer_total")) == (1, 9, 1)
        assert counted("function_invocations_total") == 0


def test_a_program_with_metrics_on(recording: Recording) -> None:
    """What is counted outside of blocks is not seen in one, and nothing of a block reaches the program's own store."""

    async def both() -> None:
        install(OWN)
        SOLD_MAPS.inc()
        await recording.pipeline.flusher.aflush()
        SOLD_MAPS.inc(10)
        with isolated_metrics():
            assert counted("iso_sold_total") == 0
            use_everything()
            await aflush()
        assert await recording.samples("iso_sold_total") == {'iso_sold_total{kind="map"}': 11}
        SOLD.labels("book").inc()
        assert await recording.samples("iso_sold_total") == {
            'iso_sold_total{kind="book"}': 1,
            'iso_sold_total{kind="map"}': 11,
        }

    before = SOLD_MAPS._value.get()
    asyncio.run(both())
    assert SOLD_MAPS._value.get() == before + 11


def test_blocks_beside_each_other() -> None:
    """Each of them fails and says why, and the program counts as before."""
    program_counts = STARTS._value.get()

    async def test_of_a_user(begun: asyncio.Event, may_end: asyncio.Event, ended: asyncio.Event) -> None:
        try:
            with isolated_metrics():
                STARTS.inc()
                begun.set()
                await may_end.wait()
        finally:
            ended.set()

    async def both() -> Any:
        first, second, one_ended, other_ended = (asyncio.Event() for _ in range(4))
        running = (test_of_a_user(first, second, one_ended), test_of_a_user(second, one_ended, other_ended))
        return await asyncio.gather(*running, return_exceptions=True)

    failed = asyncio.run(both())
    assert [str(err).partition(":")[0] for err in failed] == [
        "blocks of isolated_metrics may stand in each other, and not beside each other"
    ] * 2
    assert STARTS._value.get() == program_counts
    with isolated_metrics():
        assert counted("iso_starts_total") == 0


def test_a_failure_is_not_hidden_by_a_block_that_has_not_ended() -> None:
    """The failure of the test is what its author sees."""
    left_open = isolated_metrics()

    def fail() -> None:
        with isolated_metrics():
            left_open.__enter__()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(KairoError, match="not beside each other"):
        left_open.__exit__(None, None, None)


def test_a_block_that_fails() -> None:
    """A test that fails leaves nothing behind either."""
    before = vars(RECORDER).copy()

    def fail() -> None:
        with isolated_metrics():
            use_everything()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert {name: value for name, value in vars(RECORDER).items() if name != "lock"} == {
        name: value for name, value in before.items() if name != "lock"
    }
    with pytest.raises(TypeError, match="takes Settings, not str"), isolated_metrics("on"):  # type: ignore[arg-type]
        pass
    with isolated_metrics():
        assert counted("iso_sold_total") == 0


def test_no_thread_task_or_loop_is_left() -> None:
    """A test ends without a thread of ours and without a task in its event loop, and each flush is done at once."""

    async def count() -> None:
        await asyncio.to_thread(nightly)
        nightly()
        async with measured("step"):
            await aflush()
        assert counted("function_invocations_total", outcome="success") == 3
        assert len(asyncio.all_tasks()) == 1

    threads = threading.enumerate()
    with isolated_metrics(), measured("outer"):
        nightly()
        assert flush()
        assert counted("iso_sold_total") == 1
    with isolated_metrics():
        asyncio.run(count())
    gc.collect()
    assert {thread for thread in threading.enumerate() if thread not in threads and "kairo" in thread.name} == set()


@pytest.fixture
def metrics() -> Iterator[Any]:
    """The three lines of the guide."""
    with isolated_metrics() as metrics:
        yield metrics


async def test_an_asynchronous_test(metrics: Any) -> None:
    """The block is a plain one, and holds for an asynchronous test: a fixture of it, and a block in the test."""
    nightly()
    assert counted("iso_sold_total") == 1
    with isolated_metrics():
        await asyncio.gather(*(asyncio.to_thread(nightly) for _ in range(4)))
        assert counted("iso_sold_total") == 4
    assert metrics.settings.namespace == "test"


def test_a_second_call_outside_of_a_block_is_still_an_error() -> None:
    """A block changes nothing for the program: a call with other settings is the error that it is in production."""
    with isolated_metrics():
        pass
    instrument(Starlette(), settings=current_settings()[0])
    with pytest.raises(KairoError, match="had another settings="):
        instrument(Starlette(), settings=Settings(enabled=False, namespace="another"))
