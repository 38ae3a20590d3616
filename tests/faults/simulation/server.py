"""The server: the memory store behind a script, a list of the parcels that it holds, and the faults of a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.errors import UnknownScript
from lib.kairo_metrics.model.batch import Applied, Batch, Refused, Verdict, Writer
from lib.kairo_metrics.model.server_run import ServerRun
from lib.kairo_metrics.testing.memory_store import MemoryStore, _Family, _Line, _Shard
from tests.faults.simulation.parcels import Parcel, Parcels, Violation

__all__ = ["Saved", "Server"]

_EPOCH_MS = 1_764_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A snapshot: the shards, and the parcels in them."""

    shards: list[_Shard]
    held: dict[Parcel, int]


class Server:
    """Answers commands one at a time.

    Args:
        settings: shards and bounds.
        now_s: returns the current time.
        parcels: to find the parcels in a batch.
        tells_its_run: whether it reports that it restarted.

    Attributes:
        held: the parcels in the state, with their shards.
        disturbed: how often the state went back.
        emptied: how often a shard went back to empty.
        unnoticed: shards that went back, without a batch since then from an instance that knows of the loss.
        evicted: writers whose record was evicted, and who have not noticed it.
        heard_s: the time of the last applied batch of each writer.
        foreign: index fields of the families whose key is foreign.
    """

    def __init__(
        self, settings: Settings, now_s: Callable[[], float], parcels: Parcels, *, tells_its_run: bool
    ) -> None:
        self.now_ms: Callable[[], int] = lambda: _EPOCH_MS + int(now_s() * 1000)
        self.store = MemoryStore(settings, self.now_ms, (lambda: 0.0, lambda: 0.0))
        self.held: dict[Parcel, int] = {}
        self.foreign: set[str] = set()
        self.tells_its_run = tells_its_run
        self.disturbed = 0
        self.emptied = 0
        self.unnoticed: set[int] = set()
        self.evicted: set[str] = set()
        self.heard_s: dict[str, float] = {}
        self._set_by: dict[float, str] = {}
        self._runs = 0
        self._now_s = now_s
        self._parcels = parcels
        self._knows_script = False

    @property
    def shards(self) -> list[_Shard]:
        return self.store._shards

    def answer(self, command: tuple[Any, ...]) -> Verdict:
        """Run the script for a batch.

        Raises:
            UnknownScript: the script must be sent as well.
        """
        name, _, writer, batch = command
        if name == "EVALSHA" and not self._knows_script:
            raise UnknownScript("NOSCRIPT")
        self._knows_script = True
        return self._apply(writer, batch)

    def _apply(self, writer: Writer, batch: Batch) -> Verdict:
        refused = tuple(place for place, delta in enumerate(batch.families) if delta.schema.index_field in self.foreign)
        if refused and batch.seq == self.last_seq(writer) + 1:
            return Refused(refused)
        shard, known = self.shards[writer.shard], batch.known
        can_tell = known.incarnation == shard.incarnation and (known.batches > shard.batches or batch.replaces > 0)
        before = shard.incarnation
        stored = self._settings(shard)
        verdict: Verdict = result(self.store.apply(writer, batch))
        if isinstance(verdict, Applied):
            self._check_settings(writer, batch, stored, self._settings(shard))
            self.heard_s[writer.id] = self._now_s()
            if can_tell or (before and before != shard.incarnation):
                self.unnoticed.discard(writer.shard)
            for parcel in self._parcels.of([batch]):
                if parcel in self.held:
                    raise Violation(f"counted twice: {parcel!r}")
                self.held[parcel] = writer.shard
                parcel.applied = True
        return verdict

    def _settings(self, shard: _Shard) -> dict[tuple[str, str], float]:
        """Return the stored values of the gauges that are set, by index field and label text."""
        return {
            (place, text): line.numbers[0]
            for place, family in shard.families.items()
            if family.schema.rule == "latest"
            for text, line in family.lines.items()
        }

    def _check_settings(
        self, writer: Writer, batch: Batch, before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]
    ) -> None:
        """Check that a new setting has replaced an older one of the same instance, made under the same writer id."""
        for delta in batch.families:
            for text, change in delta.series if delta.schema.rule == "latest" else ():
                value, _, is_new = change.split()
                where, number = (delta.schema.index_field, text), float(value)
                is_own = where in before and self._set_by.get(before[where]) == writer.id
                if is_own and is_new == "1" and after.get(where) != number:
                    raise Violation(f"{delta.schema.name} keeps {before[where]}, and was set to {number} later")
                self._set_by[number] = writer.id

    def last_seq(self, writer: Writer) -> int:
        """Return the last number in a writer's record."""
        seq, until_ms, _ = self.shards[writer.shard].writers.get(writer.id, (0, 0, 0))
        return seq if until_ms > self.now_ms() else 0

    def flush_scripts(self) -> None:
        """Remove the script."""
        self._knows_script = False

    def evict_record(self, writer: Writer) -> None:
        """Remove the record of a writer, as an eviction policy does."""
        if self.shards[writer.shard].writers.pop(writer.id, None):
            self.evicted.add(writer.id)

    def save(self) -> Saved:
        """Write a snapshot."""
        return Saved(list(map(_copied, self.shards)), dict(self.held))

    def load(self, saved: Saved) -> None:
        """Start again with a snapshot."""
        for parcel in self.held:
            if parcel not in saved.held:
                parcel.rolled_back = True
        self.store._shards = list(map(_copied, saved.shards))
        self.held = dict(saved.held)
        self.disturbed += 1
        self.emptied += any(not shard.batches for shard in saved.shards)
        self.unnoticed = set(range(len(self.shards)))
        if self.tells_its_run:
            self.store._run = ServerRun(str(self.disturbed))
        self.flush_scripts()

    def restart(self) -> None:
        """Start again with everything."""
        self._runs += 1
        if self.tells_its_run:
            self.store._run = ServerRun(f"restart {self._runs}")
        self.flush_scripts()

    def empty(self) -> None:
        """Start again empty."""
        self.load(Saved([_Shard() for _ in self.shards], {}))


def result(steps: Any) -> Any:
    """Return the result of a command flow of the memory store, which sends no command."""
    try:
        next(steps)
    except StopIteration as stop:
        return stop.value
    raise Violation("the memory store sent a command")


def _copied(shard: _Shard) -> _Shard:
    families = {
        place: _Family(
            family.schema,
            family.created_ms,
            family.announced_ms,
            {text: _Line(list(line.numbers), line.created_ms, line.touched_ms) for text, line in family.lines.items()},
        )
        for place, family in shard.families.items()
    }
    return replace(shard, writers=dict(shard.writers), families=families)
