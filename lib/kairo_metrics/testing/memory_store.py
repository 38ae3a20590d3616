"""The store in memory: `apply.lua` written again in Python, so that tests can compare the two."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ..config.settings import Settings
from ..model.batch import (
    WRITER_LEASE_S,
    Applied,
    Batch,
    Duplicate,
    FamilyDelta,
    Gap,
    State,
    Unannounced,
    Verdict,
    Writer,
)
from ..model.delivery_metrics import BATCHES, OVERFLOWED
from ..model.encoding import label_text, pack_line
from ..model.leases import fold_rule, residual_text
from ..model.moment import CLOCKS, Clocks, Moment, elapsed_s
from ..model.native_counts import NativeCounts
from ..model.recovery import Recovery
from ..model.schema import Schema
from ..model.schema_validation import parse_schema
from ..model.server_run import ServerRun
from ..model.snapshot import IndexEntry, Snapshot
from ..store.command_flow import Command, CommandFlow
from .recovery_account import account_after

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Line:
    numbers: list[Any]
    created_ms: int
    touched_ms: int


@dataclass(slots=True)
class _Family:
    schema: Schema
    created_ms: int
    announced_ms: int
    lines: dict[str, _Line] = field(default_factory=dict)


class _Record(NamedTuple):
    """A writer's last batch number, when its record expires, and when its newest setting was made."""

    seq: int = 0
    expires_ms: int = 0
    set_at_ms: int = 0


@dataclass(slots=True)
class _Shard:
    incarnation: str = ""
    batches: int = 0
    recovery: Recovery | None = None
    # In the order of the writers' last batches.
    writers: dict[str, _Record] = field(default_factory=dict)
    families: dict[str, _Family] = field(default_factory=dict)


class _Settings:
    """Dates the settings of a batch, as `set_newest` of `apply.lua` does.

    Args:
        sealed_at_ms: when the batch was sealed, if it took no time on its way.
        earlier_ms: when the newest setting of the writer's earlier batches was made.
    """

    def __init__(self, sealed_at_ms: int, earlier_ms: int) -> None:
        self._sealed_at_ms = sealed_at_ms
        self._earlier_ms = self.newest_ms = earlier_ms

    def date(self, age_ms: int, *, is_new: bool) -> int:
        """Return when a setting of this age was made: if it is a new one, not before the writer's earlier ones."""
        set_at_ms = max(self._sealed_at_ms - age_ms, self._earlier_ms if is_new else 0)
        self.newest_ms = max(self.newest_ms, set_at_ms)
        return set_at_ms


class MemoryStore:
    """A store in the memory of this process, with the semantics of the Redis store.

    Args:
        settings: the number of shards, the most series of a family, and the lifetime of a series.
        clock_ms: the store's clock, in ms since 1970.
        clocks: the monotonic and the wall clock that date batches when they are sealed, in seconds.

    Example:
        >>> import asyncio
        >>> asyncio.run(MemoryStore(Settings()).ping())
    """

    def __init__(
        self,
        settings: Settings,
        clock_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        clocks: Clocks = CLOCKS,
    ) -> None:
        self.is_loaded = True
        self._settings = settings
        self._clock_ms = clock_ms
        self._clocks = clocks
        self._shards = [_Shard() for _ in range(settings.shards)]
        self._run = ServerRun()

    @property
    def shards(self) -> int:
        """Into how many shards it is divided."""
        return len(self._shards)

    def limit(self, settings: Settings) -> None:
        """Have the limits of other settings from now on: the most series of a family, and the lifetimes."""
        self._settings = settings

    def load(self) -> None:
        """See `Store.load`."""

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """See `Store.apply`."""
        yield from ()  # it sends no commands, but has to be a generator like the other store's method
        shard = self._shards[writer.shard]
        now_ms = self._clock_ms()
        _remove_expired_writers(shard, now_ms)
        record = shard.writers.get(writer.id, _Record())
        if batch.seq <= record.seq or (batch.restores is not None and not self._lacks(shard, batch)):
            return Duplicate(State(shard.incarnation, shard.batches))
        if batch.seq > record.seq + 1:
            return Gap(record.seq + 1, State(shard.incarnation, shard.batches))
        unannounced = tuple(
            position
            for position, delta in enumerate(batch.families)
            if not delta.metadata and delta.schema.index_field not in shard.families
        )
        if unannounced:
            return Unannounced(unannounced)
        age_ms = int(elapsed_s(batch.sealed_at, Moment.read(self._clocks)) * 1000)
        settings = _Settings(now_ms - age_ms, min(record.set_at_ms, now_ms))
        counts = [self._apply_family(shard, delta, now_ms, settings) for delta in batch.families]
        overflowed = tuple(
            position
            for position, delta in enumerate(batch.families)
            if counts[position] and batch.restores is None and _counts_overflow(delta.schema)
        )
        for position in overflowed:
            self._count(shard, OVERFLOWED, batch.families[position].schema.name, counts[position], now_ms)
        self._count(shard, BATCHES, "applied", 1, now_ms)
        shard.writers.pop(writer.id, None)
        shard.writers[writer.id] = _Record(batch.seq, now_ms + WRITER_LEASE_S * 1000, settings.newest_ms)
        state = State(shard.incarnation, shard.batches)
        shard.recovery, went_back = account_after(shard.recovery, state, batch, now_ms)
        if went_back or not shard.incarnation:
            shard.incarnation = Recovery.name_after(writer.id, state, batch.known, now_ms)
        shard.batches += 1
        return Applied(State(shard.incarnation, shard.batches), overflowed)

    def _lacks(self, shard: _Shard, batch: Batch) -> bool:
        """Tell whether increments that a page had shown are still missing, and none was sent or restored since."""
        if batch.seq > 1:
            return True
        account = shard.recovery.account if shard.recovery else ""
        state = State(shard.incarnation, shard.batches)
        return batch.restores == account and Recovery.went_back(shard.recovery, state, batch.known)

    def _apply_family(self, shard: _Shard, delta: FamilyDelta, now_ms: int, settings: _Settings) -> int:
        """Apply the changes of one family; return how many updates went to the overflow series."""
        family = shard.families.setdefault(delta.schema.index_field, _Family(delta.schema, now_ms, now_ms))
        if delta.metadata:
            family.schema, family.announced_ms = parse_schema(delta.metadata), now_ms
        _remove(family, delta)
        overflow, overflowed = delta.schema.overflow_text, 0
        for text, change in delta.series:
            field_text = text
            if change == "D":
                continue
            if text not in family.lines and text != overflow:
                room = self._settings.max_series - len(family.lines) + (overflow in family.lines)
                if room < 1:
                    field_text, overflowed = overflow, overflowed + 1
            line = self._line(family, field_text, now_ms)
            _merge(delta.schema, line, change.removeprefix("D ").split(), settings)
        return overflowed

    def forget_connections(self) -> None:
        """See `Store.forget_connections`."""

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> CommandFlow[None]:
        """See `Store.tidy`."""
        yield from ()
        families = self._shards[entry.shard].families
        family = families.get(entry.schema.index_field)
        if family is None:
            return
        now_ms, life_ms = self._clock_ms(), self._settings.series_ttl_s * 1000
        for text in texts:
            line = family.lines.get(text.decode())
            if line is not None:
                self._tidy_line(family, text, now_ms - line.touched_ms)
        if not family.lines and now_ms - family.announced_ms > life_ms:
            del families[entry.schema.index_field]

    def _tidy_line(self, family: _Family, text: bytes, age_ms: int) -> None:
        expired = age_ms > self._settings.series_ttl_s * 1000
        ended = family.schema.per_instance and age_ms > self._settings.instance_lease_s * 1000
        if not (expired or ended):
            return
        line = family.lines.pop(text.decode())
        rule = fold_rule(family.schema)
        if not expired and rule != "forget":
            kept_as = residual_text(text).decode()
            family.lines[kept_as] = _better(rule, family.lines.get(kept_as, line), line)

    def _line(self, family: _Family, text: str, now_ms: int) -> _Line:
        line = family.lines.get(text)
        if line is None or now_ms - line.touched_ms > self._settings.series_ttl_s * 1000:
            line = family.lines[text] = _Line([0.0] * len(family.schema.shape), now_ms, now_ms)
        line.touched_ms = now_ms
        return line

    def _count(self, shard: _Shard, schema: Schema, value: str, count: int, now_ms: int) -> None:
        """Count in a family about the delivery, which has one label."""
        family = shard.families.setdefault(schema.index_field, _Family(schema, now_ms, now_ms))
        self._line(family, label_text(schema.labelnames, [value]), now_ms).numbers[0] += count

    @asynccontextmanager
    async def client(self) -> AsyncIterator[_NoLink]:
        """See `Store.client`."""
        yield _NoLink()

    @contextmanager
    def sync_client(self) -> Iterator[_NoSyncLink]:
        """See `Store.sync_client`."""
        yield _NoSyncLink()

    async def ping(self) -> None:
        """See `Store.ping`."""

    async def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        entries = [
            IndexEntry(number, family.schema, family.created_ms, family.announced_ms)
            for number, shard in enumerate(self._shards)
            for family in shard.families.values()
        ]
        now_ms = self._clock_ms()
        return Snapshot(
            now_ms,
            tuple(entries),
            states=tuple(State(shard.incarnation, shard.batches) for shard in self._shards),
            recoveries=tuple(shard.recovery for shard in self._shards),
            runs=(self._run,) * len(self._shards),
            measures={"max_series": self._settings.max_series},
        )

    async def scan(self, entries: Sequence[IndexEntry]) -> AsyncGenerator[tuple[IndexEntry, list[bytes] | None]]:
        """See `Store.scan`."""
        for entry in entries:
            family = self._shards[entry.shard].families.get(entry.schema.index_field)
            items: list[bytes] = []
            for text, line in family.lines.items() if family else ():
                items += (text.encode(), pack_line(line.numbers, line.created_ms, line.touched_ms))
            yield entry, items


class _NoLink:
    sent = 0

    async def call(self, *commands: Command) -> list[Any]:
        raise AssertionError(f"the memory store sends no commands: {commands}")


class _NoSyncLink:
    def call(self, *commands: Command) -> list[Any]:
        raise AssertionError(f"the memory store sends no commands: {commands}")


def _counts_overflow(schema: Schema) -> bool:
    """Tell whether an overflow of the family is counted: a left-out exemplar is not a lost sample."""
    return schema.type != "exemplars"


def _remove_expired_writers(shard: _Shard, now_ms: int) -> None:
    while shard.writers:
        oldest = next(iter(shard.writers))
        if shard.writers[oldest].expires_ms > now_ms:
            break
        del shard.writers[oldest]


def _remove(family: _Family, delta: FamilyDelta) -> None:
    for pairs in delta.cleared:
        for text in [text for text in family.lines if _has_pairs(text, pairs)]:
            del family.lines[text]
    for text, change in delta.series:
        if change.startswith("D"):
            family.lines.pop(text, None)


def _has_pairs(text: str, pairs: str) -> bool:
    return all(f",{pair}," in f",{text}," for pair in pairs.split("\n") if pair)


def _better(rule: str, kept: _Line, line: _Line) -> _Line:
    one, other = (found.numbers[rule == "latest"] for found in (line, kept))
    better = line if (one < other if rule == "min" else one > other) else kept
    return replace(better, touched_ms=max(kept.touched_ms, line.touched_ms))


def _merge(schema: Schema, line: _Line, words: list[str], settings: _Settings) -> None:
    if schema.rule == "sum":
        for index, amount in zip(words[::2], words[1::2], strict=True):
            line.numbers[int(index) - 1] += float(amount)
        return
    if schema.rule == "native":
        counts = NativeCounts.parse(words[1:])
        if any(line.numbers):
            stored = NativeCounts.parse(map(str, line.numbers))
            stored.add(counts)
            counts = stored
        counts.limit(int(words[0]))
        line.numbers[:] = counts.text().split()
        return
    value, age, is_new = words
    set_at_ms = 0 if age == "-1" else settings.date(int(age), is_new=is_new == "1")
    if set_at_ms >= line.numbers[1] or line.numbers[1] > line.touched_ms:
        line.numbers[:] = value if schema.rule == "word" else float(value), set_at_ms
