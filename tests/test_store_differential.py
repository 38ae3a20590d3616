"""The memory store and the script, asked the same: so that what is shown with the one holds for the other."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import pytest
import redis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lib.kairo_metrics.store.base import Applied, Batch, Duplicate, FamilyDelta, Gap, State, Verdict, Writer
from lib.kairo_metrics.store.bookkeeping import OVERFLOWED
from lib.kairo_metrics.store.conversation import drive
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.memory import MemoryStore
from lib.kairo_metrics.store.native import NativeCounts
from lib.kairo_metrics.store.notation import TIMES_WIDTH, pack_line
from lib.kairo_metrics.store.recovery import Recovery
from lib.kairo_metrics.store.redis import RedisStore
from lib.kairo_metrics.store.schema import Schema
from lib.kairo_metrics.store.snapshot import OF_THE_STATE, IndexEntry
from tests.examples import examples
from tests.instance import settings

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
LEASE_S, TTL_S, CAP = 60, 3600, 3


Restores = Literal["", "now", "stale"]
RECOVERING: st.SearchStrategy[tuple[int, Restores]] = st.sampled_from(
    [(0, ""), (0, ""), (1, ""), (3, ""), (0, "now"), (0, "stale")]
)


@dataclass(frozen=True)
class Sent:
    """A batch; its number is relative to the last one that was applied of its writer.

    Args:
        writer: who sends it.
        ahead: 1 is the next one, less a duplicate, more a gap.
        families: schema, (label text, delta) pairs, what is cleared, whether it is announced.
        known: which state the writer knows (the one that is there, the one before it, others), and how many
            batches more it had; None where it has heard of none.
        makes_good: how many lost batches it stands for.
        restores: whether it is to be taken only if the state went back: made of today's account, or another.
    """

    writer: str
    ahead: int
    families: tuple[tuple[Schema, tuple[tuple[str, str], ...], tuple[str, ...], bool], ...]
    known: tuple[str, int] | None = None
    makes_good: int = 0
    restores: Restores = ""


@dataclass(frozen=True)
class Aged:
    """Every second line of a family turns out not to have been touched for so long."""

    schema: Schema
    seconds: int


@dataclass(frozen=True)
class Evicted:
    """The record of a writer is dropped."""

    writer: str


@dataclass(frozen=True)
class Tidied:
    """A scrape deletes what is stale, and brings together what ended instances have left."""

    schema: Schema


Doing = Sent | Aged | Evicted | Tidied

AMOUNTS = st.integers(0, 4_000).map(lambda number: number / 8) | st.sampled_from([0.1, 1e300, math.inf])
SET = st.integers(-40, 40).map(lambda number: number / 8) | st.sampled_from([math.inf, -math.inf, math.nan])
# So far apart that the milliseconds between two stores' clocks decide nothing.
AGES = st.sampled_from(["-1", "0", "20000", "50000"])
WORDS = st.sampled_from(['=version="1"', '=version="2%20beta"', "=", '=0.25=trace_id="4bf9"'])


@st.composite
def one_delta(draw: st.DrawFn, schema: Schema) -> str:
    """Draw what is done to a series, by the family's rule."""
    match schema.rule:
        case "latest":
            value = draw(st.sampled_from(["0.0", "1.0"])) if schema is PHASE else repr(draw(SET))
            return f"{value} {draw(AGES)}"
        case "word":
            return f"{draw(WORDS)} {draw(AGES)}"
        case "native":
            counts = NativeCounts(draw(st.integers(-4, 8)), draw(st.sampled_from([0.0, 0.001, 0.5])))
            for amount in draw(st.lists(st.integers(-800, 800), max_size=4)):
                counts.observe(amount / 8)
            return f"{draw(st.integers(1, 6))} {counts.text()}"
    indexes = draw(st.lists(st.integers(1, len(schema.shape)), unique=True, max_size=len(schema.shape)))
    return " ".join(f"{index} {draw(_amounts(schema.shape[index - 1]))!r}" for index in indexes)


def _amounts(letter: str) -> st.SearchStrategy[float]:
    """Return what may be added to a number of that letter in a line's shape; anything else would be damage."""
    if letter == "w":
        return st.integers(0, 1_000).map(float)
    return (
        st.integers(-2, 2).map(float) if letter == "i" else AMOUNTS.filter(math.isfinite) if letter == "f" else AMOUNTS
    )


@st.composite
def one_series(draw: st.DrawFn, schema: Schema) -> tuple[str, str]:
    """Draw a label text, the overflow series' own now and then, and what is done to it."""
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
    if draw(st.integers(0, 3)) == 0:  # an instance that is full itself
        turned_away = ('family="jobs"', f"1 {draw(st.integers(1, 5))}")
        families.insert(draw(st.integers(0, len(families))), (OVERFLOWED, (turned_away,), (), True))
    writer, ahead = draw(st.sampled_from(["one", "two"])), draw(st.sampled_from([1, 1, 1, 1, 0, 2]))
    makes_good, restores = draw(RECOVERING)
    return Sent(writer, ahead, tuple(families), draw(KNOWN), makes_good, restores)


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


def _restores(sent: Sent, recovery: Recovery | None) -> str | None:
    account = recovery.account if recovery else ""
    return {"": None, "now": account, "stale": f"{account} stale"}[sent.restores]


class Pair:
    """Both stores, doing the same."""

    def __init__(self, redis_url: str) -> None:
        chosen = settings(redis_url, max_series=CAP, series_ttl_s=TTL_S, instance_lease_s=LEASE_S)
        self.memory, self.real = MemoryStore(chosen), RedisStore(chosen)
        self.client = redis.Redis.from_url(redis_url)
        self.keys = Keys(chosen.namespace, 0)
        self._last: dict[str, int] = {}

    def _stored(self, schema: Schema) -> dict[bytes, bytes]:
        return cast(dict[bytes, bytes], self.client.hgetall(self.keys.series(schema)))

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        asyncio.run(self.real.aclose())

    def do(self, doing: Doing) -> None:
        """Do one thing in both, and compare what they answer and hold."""
        match doing:
            case Sent():
                self._send(doing)
            case Aged():
                self._age(doing)
            case Evicted():
                self._last.pop(doing.writer, None)
                self.client.delete(self.keys.writer(doing.writer))
                self.memory._shards[0].writers.pop(doing.writer, None)
            case Tidied():
                self._tidy(doing.schema)
        for schema in (*SCHEMAS, OVERFLOWED):
            assert list(self._differences(schema)) == []
        self._compare_state()

    def _send(self, sent: Sent) -> None:
        writer, seq = Writer(sent.writer, 0), self._last.get(sent.writer, 0) + sent.ahead
        deltas = [
            FamilyDelta(schema, series, 1.0, schema.metadata() if announced else "", cleared)
            for schema, series, cleared, announced in sent.families
        ]
        batch = Batch(seq, tuple(deltas), time.monotonic(), makes_good=sent.makes_good)
        for_real, for_memory = (
            replace(batch, known=self._known(sent, state, recovery), restores=_restores(sent, recovery))
            for state, recovery in (self._real_state(), self._memory_state())
        )
        with self.real.sync_link() as link, self.memory.sync_link() as no_link:
            real = drive(self.real.apply(writer, for_real), link)
            said = drive(self.memory.apply(writer, for_memory), no_link)
        assert (real, _shape(real)) == (said, _shape(said))
        if isinstance(real, Applied):
            self._last[sent.writer] = seq

    def _known(self, sent: Sent, state: State, recovery: Recovery | None) -> State:
        """Return what the writer knows, in the names that a store has given: times are in them."""
        if sent.known is None:
            return State()
        which, more = sent.known
        name = {"current": state.incarnation, "before": recovery.name if recovery else ""}.get(which, which)
        return State(name, max(0, state.batches + more)) if name else State()

    def _real_state(self) -> tuple[State, Recovery | None]:
        index: Any = self.client.hgetall(self.keys.families)
        state = State(index.get(b"incarnation", b"").decode(), int(index.get(b"batches", b"0")))
        return state, Recovery.parse(index.get(b"recovery", b""))

    def _memory_state(self) -> tuple[State, Recovery | None]:
        shard = self.memory._shards[0]
        return State(shard.incarnation, shard.batches), shard.recovery

    def _age(self, aged: Aged) -> None:
        """Put back when lines were touched: in the order of their texts, which both stores have in common."""
        ms = aged.seconds * 1000
        key, lines = self.keys.series(aged.schema), self._stored(aged.schema)
        family = self.memory._shards[0].families.get(aged.schema.index_field)
        for text in sorted(lines)[::2]:
            touched = int(lines[text][-13:]) - ms
            self.client.hset(key, text, lines[text][:-13] + b"%013d" % touched)
        for known in sorted(family.lines, key=str.encode)[::2] if family else ():
            assert family is not None
            family.lines[known].touched_ms -= ms

    def _tidy(self, schema: Schema) -> None:
        texts = [text for text in sorted(self._stored(schema)) if b"__" not in text]
        with self.real.sync_link() as link, self.memory.sync_link() as no_link:
            drive(self.real.tidy(IndexEntry(0, schema, 0), texts), link)
            drive(self.memory.tidy(IndexEntry(0, schema, 0), texts), no_link)

    def _differences(self, schema: Schema) -> Iterator[tuple[bytes, Any, Any]]:
        """Yield the lines that are not the same; times are when they were set by the one clock or the other."""
        family = self.memory._shards[0].families.get(schema.index_field)
        lines = family.lines.items() if family else ()
        said = {text.encode(): pack_line(line.numbers, line.created_ms, line.touched_ms) for text, line in lines}
        real = self._stored(schema)
        for text in sorted(real.keys() | said.keys()):
            one, other = (_words(schema, held.get(text, b"")) for held in (real, said))
            if one != other:
                yield text, real.get(text), said.get(text)

    def _compare_state(self) -> None:
        index = cast(dict[bytes, bytes], self.client.hgetall(self.keys.families))
        shard = self.memory._shards[0]
        (state, recovery), (said, recovering) = self._real_state(), self._memory_state()
        assert _without_time(state.incarnation) == _without_time(said.incarnation)
        assert state.batches == said.batches
        assert _account(recovery) == _account(recovering)
        for field in OF_THE_STATE:
            index.pop(field, None)
        announced = {place.decode(): Schema.from_metadata(entry.split(b" ", 2)[2]) for place, entry in index.items()}
        overflowed = {OVERFLOWED.index_field}  # counted by the store itself; a writer's first batch announces it
        known = {place: family.schema for place, family in shard.families.items()}
        assert {place: announced[place] for place in announced.keys() - overflowed} == {
            place: known[place] for place in known.keys() - overflowed
        }


def _shape(verdict: Verdict) -> tuple[str, int] | None:
    """Return of a state what does not depend on the clock."""
    if not isinstance(verdict, Applied | Duplicate | Gap):
        return None
    state: State = verdict.state
    return _without_time(state.incarnation), state.batches


def _without_time(name: str) -> str:
    return name.partition("-")[0]


def _account(recovery: Recovery | None) -> tuple[str, int, int, int, int] | None:
    """Return how far a state was made good, with its time in whole ten seconds since."""
    if recovery is None:
        return None
    age = round((time.time() * 1000 - recovery.since_ms) / 10_000)
    return _without_time(recovery.name), recovery.goal, recovery.held, recovery.missing, age


def _words(schema: Schema, line: bytes) -> Any:
    """Return what a line says, with times in whole ten seconds since, and numbers by their value."""
    if not line:
        return None
    words = line[:-TIMES_WIDTH].decode().split()
    now_ms = time.time() * 1000
    times = [round((now_ms - int(moment)) / 10_000) for moment in line.decode().split()[-2:]]
    if schema.rule in {"latest", "word"}:
        value, set_at_ms = words
        times.append(round((now_ms - float(set_at_ms)) / 10_000) if float(set_at_ms) else -1)
        words = [value]
    return words, times


FULL_AND_REMOVED = [
    Sent("one", 1, ((COUNTER, tuple((f'queue="{queue}"', "1 1") for queue in "abcdef"), (), True),)),
    Sent("one", 1, ((COUNTER, (('queue="g"', "D 1 1"), ('queue="__overflow__"', "D")), (), True),)),
]


@given(doings=DOINGS)
@example(doings=FULL_AND_REMOVED)
@hypothesis_settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
def test_both_stores_answer_and_hold_the_same(redis_server: str, doings: list[Doing]) -> None:
    """Whatever is sent, by whatever rule, in whatever order: the same verdicts, and the same lines to the last word."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    pair = Pair(redis_server)
    try:
        for doing in doings:
            pair.do(doing)
    finally:
        pair.close()


def test_a_difference_is_seen(redis_url: str) -> None:
    """The comparison can fail: one increment more in one of the two is found."""
    pair = Pair(redis_url)
    try:
        sent = Sent("one", 1, ((COUNTER, (('queue="a"', "1 2"),), (), True),))
        pair.do(sent)
        pair.memory._shards[0].families[COUNTER.index_field].lines['queue="a"'].numbers[0] += 1
        with pytest.raises(AssertionError):
            pair.do(Evicted("two"))
    finally:
        pair.close()
