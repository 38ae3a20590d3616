"""The memory store and the script, given the same operations and compared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any, cast

import redis

from lib.kairo_metrics.model.batch import Applied, Batch, Duplicate, FamilyDelta, Gap, State, Verdict, Writer
from lib.kairo_metrics.model.delivery_metrics import BATCHES, OVERFLOWED
from lib.kairo_metrics.model.encoding import TIMES_WIDTH, pack_line
from lib.kairo_metrics.model.moment import Moment
from lib.kairo_metrics.model.recovery import Recovery
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.schema_validation import parse_schema
from lib.kairo_metrics.model.snapshot import IndexEntry
from lib.kairo_metrics.store.command_flow import run_flow
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.snapshot_replies import STATE_FIELDS
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.instance import settings
from tests.support.random_batches import LEASE_S, SCHEMAS, TTL_S, Aged, Doing, Evicted, Sent, Tidied

__all__ = ["StorePair"]

_CAP = 3


def _restores(sent: Sent, recovery: Recovery | None) -> str | None:
    account = recovery.account if recovery else ""
    return {"": None, "now": account, "stale": f"{account} stale"}[sent.restores]


class StorePair:
    """Both stores, with the same operations applied to each."""

    def __init__(self, redis_url: str) -> None:
        chosen = settings(redis_url, max_series=_CAP, series_ttl_s=TTL_S, instance_lease_s=LEASE_S)
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
        """Apply an operation to both, and compare their replies and contents."""
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
        for schema in (*SCHEMAS, OVERFLOWED, BATCHES):
            assert list(self._differences(schema)) == []
        self._compare_state()

    def _send(self, sent: Sent) -> None:
        writer, seq = Writer(sent.writer, 0), self._last.get(sent.writer, 0) + sent.ahead
        deltas = [
            FamilyDelta(schema, series, 1.0, schema.metadata() if announced else "", cleared)
            for schema, series, cleared, announced in sent.families
        ]
        batch = Batch(seq, tuple(deltas), Moment.read(), replaces=sent.replaces)
        for_real, for_memory = (
            batch._replace(known=self._known(sent, state, recovery), restores=_restores(sent, recovery))
            for state, recovery in (self._real_state(), self._memory_state())
        )
        with self.real.sync_client() as link, self.memory.sync_client() as no_link:
            real = run_flow(self.real.apply(writer, for_real), link)
            simulated = run_flow(self.memory.apply(writer, for_memory), no_link)
        assert (real, _shape(real)) == (simulated, _shape(simulated))
        if isinstance(real, Applied):
            self._last[sent.writer] = seq

    def _known(self, sent: Sent, state: State, recovery: Recovery | None) -> State:
        """Return what the writer knows, with the incarnation's name in this store: names contain times."""
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
        """Make lines older, in the order of their texts, which is the same in both stores."""
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
        with self.real.sync_client() as link, self.memory.sync_client() as no_link:
            run_flow(self.real.tidy(IndexEntry(0, schema, 0), texts), link)
            run_flow(self.memory.tidy(IndexEntry(0, schema, 0), texts), no_link)

    def _differences(self, schema: Schema) -> Iterator[tuple[bytes, Any, Any]]:
        """Yield the lines that differ; times are relative to each store's clock."""
        family = self.memory._shards[0].families.get(schema.index_field)
        lines = family.lines.items() if family else ()
        simulated = {text.encode(): pack_line(line.numbers, line.created_ms, line.touched_ms) for text, line in lines}
        real = self._stored(schema)
        for text in sorted(real.keys() | simulated.keys()):
            one, other = (_words(schema, held.get(text, b"")) for held in (real, simulated))
            if one != other:
                yield text, real.get(text), simulated.get(text)

    def _compare_state(self) -> None:
        index = cast(dict[bytes, bytes], self.client.hgetall(self.keys.families))
        shard = self.memory._shards[0]
        (state, recovery), (simulated, recovering) = self._real_state(), self._memory_state()
        assert _without_time(state.incarnation) == _without_time(simulated.incarnation)
        assert state.batches == simulated.batches
        assert _account(recovery) == _account(recovering)
        for field in STATE_FIELDS:
            index.pop(field, None)
        announced = {place.decode(): parse_schema(entry.split(b" ", 2)[2]) for place, entry in index.items()}
        # The store itself counts in these; a writer's first batch announces them.
        own = {OVERFLOWED.index_field, BATCHES.index_field}
        known = {place: family.schema for place, family in shard.families.items()}
        assert {place: announced[place] for place in announced.keys() - own} == {
            place: known[place] for place in known.keys() - own
        }


def _shape(verdict: Verdict) -> tuple[str, int] | None:
    """Return the parts of a state that do not depend on the clock."""
    if not isinstance(verdict, Applied | Duplicate | Gap):
        return None
    state: State = verdict.state
    return _without_time(state.incarnation), state.batches


def _without_time(name: str) -> str:
    return name.partition("-")[0]


def _account(recovery: Recovery | None) -> tuple[str, int, int, int, int] | None:
    """Return the account of a recovery, with its age in tens of seconds."""
    if recovery is None:
        return None
    age = round((time.time() * 1000 - recovery.since_ms) / 10_000)
    return _without_time(recovery.name), recovery.goal, recovery.held, recovery.missing, age


def _words(schema: Schema, line: bytes) -> Any:
    """Return a line's words, with ages in tens of seconds instead of times, and numbers as floats."""
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
