"""Random operations on a store: batches of all rules, expiry of lines, and losses of writers' records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

from lib.kairo_metrics.model.delivery_metrics import OVERFLOWED
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.model.schema import Schema

__all__ = ["COUNTER", "DOINGS", "LEASE_S", "SCHEMAS", "TTL_S", "Aged", "Doing", "Evicted", "Sent", "Tidied"]

COUNTER = Schema("jobs", "counter", ("queue",))
HISTOGRAM = Schema("wait", "histogram", ("queue",), ("1.0", "+Inf"))
SUMMARY = Schema("cost", "summary", ("queue",))
SHARES = Schema("shares", "gauge", ("queue",), mode="sum")
NEWEST = Schema("room", "gauge", ("queue",), mode="mostrecent")
HIGHEST = Schema("peak", "gauge", ("instance_id", "queue"), mode="max")
LIVE = Schema("alive", "gauge", ("instance_id", "queue"), mode="liveall")
PHASE = Schema("phase", "stateset", ("queue",), states=("idle", "busy"))
BUILD, NATIVE = Schema("build", "info", ("queue",)), Schema("size", "native", ("queue",), ("1.0", "+Inf"))
SCHEMAS = [COUNTER, HISTOGRAM, SUMMARY, SHARES, NEWEST, HIGHEST, LIVE, PHASE, BUILD, COUNTER.exemplars, NATIVE]
LEASE_S, TTL_S = 60, 3600


Restores = Literal["", "now", "stale"]
RECOVERING: st.SearchStrategy[tuple[int, Restores]] = st.sampled_from(
    [(0, ""), (0, ""), (1, ""), (3, ""), (0, "now"), (0, "stale")]
)


@dataclass(frozen=True)
class Sent:
    """A batch; its number is relative to its writer's last applied one.

    Args:
        writer: the number of its writer.
        ahead: 1 is the next batch, less is a duplicate, more is a gap.
        families: schema, (label text, delta) pairs, cleared series, and whether the family is announced.
        known: which state the writer knows (the current one, the one before it, others), and how many
            batches more it had; None if the writer knows no state.
        replaces: the number of lost batches that it replaces.
        restores: whether it is applied only if the state went back: by the current account, or another one.
    """

    writer: str
    ahead: int
    families: tuple[tuple[Schema, tuple[tuple[str, str], ...], tuple[str, ...], bool], ...]
    known: tuple[str, int] | None = None
    replaces: int = 0
    restores: Restores = ""


@dataclass(frozen=True)
class Aged:
    """Every second line of a family becomes older by this time."""

    schema: Schema
    seconds: int


@dataclass(frozen=True)
class Evicted:
    """The record of a writer is deleted."""

    writer: str


@dataclass(frozen=True)
class Tidied:
    """A scrape deletes stale lines, and folds the lines of ended instances."""

    schema: Schema


Doing = Sent | Aged | Evicted | Tidied

AMOUNTS = st.integers(0, 4_000).map(lambda number: number / 8) | st.sampled_from([0.1, 1e300, math.inf])
SET = st.integers(-40, 40).map(lambda number: number / 8) | st.sampled_from([math.inf, -math.inf, math.nan])
# So far apart that a few milliseconds between the clocks of the two stores make no difference.
AGES = st.sampled_from(["-1", "0", "20000", "50000"])
NEW = st.sampled_from(["0", "1"])
WORDS = st.sampled_from(['=version="1"', '=version="2%20beta"', "=", '=0.25=trace_id="4bf9"'])


@st.composite
def one_delta(draw: st.DrawFn, schema: Schema) -> str:
    """Draw a delta for a series, by the family's rule."""
    match schema.rule:
        case "latest":
            value = draw(st.sampled_from(["0.0", "1.0"])) if schema is PHASE else repr(draw(SET))
            return f"{value} {draw(AGES)} {draw(NEW)}"
        case "word":
            return f"{draw(WORDS)} {draw(AGES)} {draw(NEW)}"
        case "native":
            counts = NativeCounts(draw(st.integers(-4, 8)), draw(st.sampled_from([0.0, 0.001, 0.5])))
            for amount in draw(st.lists(st.integers(-800, 800), max_size=4)):
                counts.observe(amount / 8)
            return f"{draw(st.integers(1, 6))} {counts.text()}"
    indexes = draw(st.lists(st.integers(1, len(schema.shape)), unique=True, max_size=len(schema.shape)))
    return " ".join(f"{index} {draw(_amounts(schema.shape[index - 1]))!r}" for index in indexes)


def _amounts(letter: str) -> st.SearchStrategy[float]:
    """Return the amounts that may be added to a number with this letter in a line's shape; others would be damage."""
    if letter == "w":
        return st.integers(0, 1_000).map(float)
    return (
        st.integers(-2, 2).map(float) if letter == "i" else AMOUNTS.filter(math.isfinite) if letter == "f" else AMOUNTS
    )


@st.composite
def one_series(draw: st.DrawFn, schema: Schema) -> tuple[str, str]:
    """Draw a label text, sometimes that of the overflow series, and a delta."""
    queue = draw(st.sampled_from(["a", "b", "c", "d", r"odd \"q\",queue=\"a\""]))
    text = f'queue="{queue}"'
    if schema.per_instance:
        text = f'instance_id="{draw(st.sampled_from(["i", "j", "__ended__"]))}",{text}'
    if schema.type == "exemplars":
        text = f"1 {text}"
    if draw(st.integers(0, 9)) == 0:
        text = schema.overflow_text
    delta = draw(one_delta(schema))
    return text, draw(st.sampled_from([delta, delta, delta, "D", f"D {delta}"]))


NAMES = st.sampled_from(["current", "current", "before", "old-1", "young-9999999999999"])
KNOWN = st.none() | st.tuples(NAMES, st.integers(-2, 5))


@st.composite
def one_batch(draw: st.DrawFn) -> Sent:
    """Draw a batch."""
    families = []
    for schema in draw(st.lists(st.sampled_from(SCHEMAS), unique=True, max_size=4)):
        series = draw(st.lists(one_series(schema), max_size=5, unique_by=lambda pair: pair[0]))
        series.sort(key=lambda pair: not pair[1].startswith("D"))  # the recorder puts removals first
        cleared = draw(st.sampled_from([(), (), (), ("",), ('queue="a"',), ('queue="b"', 'queue="c"')]))
        families.append((schema, tuple(series), cleared, draw(st.integers(0, 3)) > 0))
    if draw(st.integers(0, 3)) == 0:  # an instance that has reached the cap itself
        turned_away = ('family="jobs"', f"1 {draw(st.integers(1, 5))}")
        families.insert(draw(st.integers(0, len(families))), (OVERFLOWED, (turned_away,), (), True))
    writer, ahead = draw(st.sampled_from(["one", "two"])), draw(st.sampled_from([1, 1, 1, 1, 0, 2]))
    replaces, restores = draw(RECOVERING)
    return Sent(writer, ahead, tuple(families), draw(KNOWN), replaces, restores)


DOINGS = st.lists(
    st.one_of(
        one_batch(),
        one_batch(),
        one_batch(),
        st.builds(Aged, st.sampled_from(SCHEMAS), st.sampled_from([LEASE_S + 40, TTL_S + 40])),
        st.builds(Evicted, st.sampled_from(["one", "two"])),
        st.builds(Tidied, st.sampled_from(SCHEMAS)),
    ),
    max_size=12,
)
