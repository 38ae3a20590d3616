"""Counting and observing in one step, as each request and each query does it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

from lib.kairo_metrics.instruments.children import count, observe
from lib.kairo_metrics.instruments.current_call import CURRENT_CALL
from tests.support.adopted import adopted_registry

BOUNDS = (0.1, 0.25, 1.0)
LABELS = ("lobby",)
TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}


def shown(instrument: Any) -> list[tuple[str, str, float]]:
    """Return what the program's own page shows, without the time of creation."""
    rows = [sample for family in instrument.collect() for sample in family.samples]
    return [(row.name, str(row.labels), row.value) for row in rows if not row.name.endswith("_created")]


def pending(value: Any) -> tuple[Any, ...]:
    """Return what the next batch will have of the series behind a value; exemplars without their time."""
    series = value.series
    exemplars = {index: text for index, (text, _) in series.exemplars.items()}
    return dict(series.amounts), series.weight, exemplars


@given(amounts=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32)), traced=st.booleans())
@example(amounts=[0.1, 0.25, 1.0, -1.0, 5.0], traced=True)
def test_one_step_observes_as_two_do(amounts: list[float], *, traced: bool) -> None:
    """An observation falls into the same bucket, has the same weight and the same exemplar."""
    one, two = [Histogram("seconds", "", ["room"], buckets=BOUNDS, registry=adopted_registry()) for _ in range(2)]
    token = CURRENT_CALL.set(SimpleNamespace(exemplar=TRACE if traced else None))
    for amount in amounts:
        observe(one, LABELS, amount)
        two.labels(*LABELS).observe(amount)
    CURRENT_CALL.reset(token)
    assert shown(one) == shown(two)
    if amounts:
        assert pending(one.labels(*LABELS)._sum) == pending(two.labels(*LABELS)._sum)


@given(times=st.integers(0, 5), traced=st.booleans())
def test_one_step_counts_as_inc_does(times: int, *, traced: bool) -> None:
    """A count has the same weight and the same exemplar."""
    one, two = [Counter("entries", "", ["room"], registry=adopted_registry()) for _ in range(2)]
    token = CURRENT_CALL.set(SimpleNamespace(exemplar=TRACE if traced else None))
    for _ in range(times):
        count(one, LABELS)
        two.labels(*LABELS).inc()
    CURRENT_CALL.reset(token)
    assert shown(one) == shown(two)
    if times:
        assert pending(one.labels(*LABELS)._value) == pending(two.labels(*LABELS)._value)


def test_before_metrics_are_on() -> None:
    """What a query counts before the pipeline opens stands in the program's own registry."""
    registry = CollectorRegistry()
    entries, seconds = (
        Counter("entries", "", ["room"], registry=registry),
        Histogram("s", "", ["room"], registry=registry),
    )
    count(entries, LABELS)
    observe(seconds, LABELS, math.pi)
    assert registry.get_sample_value("entries_total", {"room": "lobby"}) == 1
    assert registry.get_sample_value("s_sum", {"room": "lobby"}) == math.pi
