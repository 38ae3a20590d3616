"""An instance's batches: numbered, in order, kept until the store has them, and a while longer."""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import cast

from ..instruments.adoption import unit_of
from ..instruments.recorder import Recorder
from ..model.batch import Applied, Batch, Duplicate, FamilyDelta, Gap, Refused, State, Unannounced, Verdict, Writer
from ..model.delivery_metrics import BATCHES, LOST, OVERFLOWED
from ..model.moment import CLOCKS, Clocks, Moment, elapsed_s
from ..store.scripts import WRITER_LEASE_S

__all__ = ["Outbox"]

_log = logging.getLogger("kairo_metrics")
# Acknowledged batches kept for a store that turns out to have lost them.
_KEPT = 64
# And of so many before them, how much was in them: minutes of a busy instance, as far as a snapshot may be behind.
_FORGOTTEN = 8_192
# A writer that was silent for half its lease takes a new id: the server's clock may be ahead of ours.
_LONGEST_SILENCE_S = WRITER_LEASE_S / 2
# An instance in use tells what it holds again in this share of its lease: so much the lease may seem too short.
_SHARE_OF_LEASE = 0.1


class Outbox:
    """Seals batches, hands out the next one to send, and learns from the store's verdict.

    Args:
        recorder: where the deltas come from.
        shards: an instance picks one of so many.
        instance_lease_s: seconds after which the store forgets what an instance holds, unless it is told again.
        clocks: monotonic and wall clock; a frozen instance may miss time on the first.
        draw: gives a random number below another one; of it ids and shards are made.
    """

    def __init__(
        self,
        recorder: Recorder,
        shards: int,
        instance_lease_s: int = 300,
        clocks: Clocks = CLOCKS,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._recorder = recorder
        self._shards = shards
        self._clocks = clocks
        self._draw = draw
        self._renewal_s = instance_lease_s * _SHARE_OF_LEASE
        self._instance = ""
        self._unsettled: deque[Batch] = deque()
        self._kept: deque[Batch] = deque(maxlen=_KEPT)
        # Weights by family of what is kept no longer: if the store loses it, so much is lost.
        self._forgotten: deque[tuple[int, tuple[tuple[str, float], ...]]] = deque(maxlen=_FORGOTTEN)
        # The same of all before those together: it is what a store loses that comes up empty.
        self._older: defaultdict[str, float] = defaultdict(float)
        self._announced: set[str] = set()
        self._full: set[str] = set()
        self._writer: Writer | None = None
        self._state = State()

    @property
    def writer(self) -> Writer:
        """The identity under which batches are sent.

        It is drawn when the first batch is: a snapshot of a loaded instance may be started many times.
        """
        if self._writer is None:
            self._start_writer()
        return cast(Writer, self._writer)

    def _start_writer(self) -> None:
        # It stays with its shard: that is the one whose state it knows.
        shard = self._writer.shard if self._writer else self._draw(self._shards)
        self._writer = Writer(self._id(), shard)
        self._last_seq = 0
        self._sent_seq = 0
        self._early_seq = 0
        self._heard_at = self._asked_at = self._now()
        self._kept.clear()
        self._forgotten.clear()
        self._older.clear()
        self._announced.clear()

    def _id(self) -> str:
        return f"{self._draw(1 << 64):016x}"

    def _now(self) -> Moment:
        return Moment.read(self._clocks)

    @property
    def unsettled(self) -> bool:
        """Whether a sealed batch waits for its verdict."""
        return bool(self._unsettled)

    def next(self) -> Batch | None:
        """Return the batch to send next: an unsettled one, else a new one, else None."""
        if self._writer is None:
            self._start_writer()
        self._replace_expired_writer()
        if not self._unsettled:
            self._seal()
        self._asked_at = self._now()
        return self._unsettled[0] if self._unsettled else None

    def mark_sent(self, batch: Batch) -> None:
        """Remember that the store may have applied the batch."""
        self._sent_seq = max(self._sent_seq, batch.seq)
        self._doubt_the_one_behind(batch)

    def _doubt_the_one_behind(self, batch: Batch) -> None:
        """One was sent too early. A copy of it may be under way, and is not too early once this one is applied."""
        if batch.seq == self._early_seq - 1:
            self._sent_seq = max(self._sent_seq, self._early_seq)

    def settle(self, batch: Batch, verdict: Verdict) -> None:
        """Take in what the store said of the first unsettled batch; of another one it is no news."""
        if not self._unsettled or self._unsettled[0] is not batch:
            return
        # The answer may be as old as the question: an instance can be frozen while it waits.
        self._heard_at = self._asked_at
        match verdict:
            case Applied() | Duplicate():
                self._unsettled.popleft()
                self._keep(batch)
                self._doubt_the_one_behind(batch)
                self._announced.update(delta.schema.index_field for delta in batch.families if delta.metadata)
                self._state = verdict.state
                if isinstance(verdict, Duplicate):
                    self._count("duplicate")
                else:
                    self._tell_overflow(batch, verdict.overflowed)
            case Gap(1, state) if self._goes_on_as(state):
                # Our record is gone and the state is not: it was evicted. Sent again, batches would count twice.
                self._change_writer()
            case Gap(expected):
                self._early_seq = batch.seq
                self._close_gap(expected)
            case Unannounced(positions):
                self._announced.difference_update(batch.families[position].schema.index_field for position in positions)
                self._unsettled[0] = self._described(batch)
            case Refused(positions):
                self._count_lost([_weights(batch.families[position] for position in positions)])
                kept = (delta for position, delta in enumerate(batch.families) if position not in positions)
                self._unsettled[0] = replace(batch, families=tuple(kept))

    def _seal(self) -> None:
        if not self._recorder.pending:
            return
        if not self._instance:
            # Drawn now and not before: a snapshot of a loaded instance may be started many times.
            self._instance, self._renewed_at = self._id(), self._now()
        if elapsed_s(self._renewed_at, self._now()) >= self._renewal_s:
            self._recorder.renew()
            self._renewed_at = self._now()
        # A batch carries its own acknowledgement: it is counted exactly when it is applied.
        self._count("applied")
        self._last_seq += 1
        batch = replace(self._recorder.seal(self._last_seq, self._instance), known=self._state)
        self._unsettled.append(self._described(batch))

    def _described(self, batch: Batch) -> Batch:
        """Announce the families that the store has not been told of by this writer."""
        families = list(batch.families)
        if not any(delta.schema == OVERFLOWED for delta in families):
            families.append(FamilyDelta(OVERFLOWED, (), 0.0))
        return replace(
            batch,
            families=tuple(
                replace(delta, metadata=replace(delta.schema, unit=unit_of(delta.schema.name)).metadata())
                if delta.schema.index_field not in self._announced
                else delta
                for delta in families
                if delta.series or delta.cleared or delta.schema.index_field not in self._announced
            ),
        )

    def _tell_overflow(self, batch: Batch, positions: Iterable[int]) -> None:
        """Log, once for each family, that the store or this instance has no room for more label sets."""
        full = [batch.families[position].schema.name for position in positions]
        for delta in batch.families:
            if delta.series and delta.schema is OVERFLOWED:
                from ..model.labels import labels_of  # of no use to a cold start

                full += [labels_of(text)["family"] for text, _ in delta.series]
        for family in full:
            if family in self._full:
                continue
            self._full.add(family)
            _log.warning(
                "metric %s has more label sets than METRICS_MAX_SERIES, or longer ones than are meant: the rest is "
                "counted together as __overflow__; take out the label whose values clients choose, or raise the limit",
                family,
            )

    def _goes_on_as(self, state: State) -> bool:
        """Tell whether it is the state that we know, or what became of it."""
        known = self._state
        return bool(known.incarnation) and state.incarnation == known.incarnation and state.batches >= known.batches

    def _keep(self, batch: Batch) -> None:
        if len(self._kept) == _KEPT:
            oldest = self._kept[0]
            if len(self._forgotten) == _FORGOTTEN:
                for family, weight in self._forgotten[0][1]:
                    self._older[family] += weight
            weights = tuple(_weights(oldest.families))
            if self._forgotten and self._forgotten[-1][1] == weights:
                weights = self._forgotten[-1][1]  # batches of one request are alike, and share the room
            self._forgotten.append((oldest.seq, weights))
        self._kept.append(batch)

    def _close_gap(self, expected: int) -> None:
        """The store has lost acknowledged batches: send again those that are still here."""
        held = [*self._kept, *self._unsettled]
        missing = held[0].seq - expected
        if missing > 0:
            self._count("lost", missing)
            self._count_lost(weights for seq, weights in self._forgotten if seq >= expected)
            if expected == 1:
                self._count_lost([self._older.items()])
        again = [replace(batch, known=self._state, makes_good=1) for batch in self._kept if batch.seq >= expected]
        self._count("replayed", len(again))
        if again:
            again[0] = replace(again[0], makes_good=1 + max(0, missing))
        again += self._unsettled
        if missing > 0 or self._is_silent_too_long():
            # Under the old id batches are missing, or its record will be by the time they arrive.
            self._start_writer()
            self._renumber(again)
            return
        self._kept = deque((batch for batch in held if batch.seq < expected), maxlen=_KEPT)
        self._unsettled = deque(again)

    def _replace_expired_writer(self) -> None:
        """Start anew when the store may have forgotten our number: it could no longer tell a duplicate."""
        if self._is_silent_too_long():
            self._change_writer()

    def _is_silent_too_long(self) -> bool:
        return elapsed_s(self._heard_at, self._now()) >= _LONGEST_SILENCE_S

    def _change_writer(self) -> None:
        """Go on under a new id with what certainly was never applied."""
        unsent = [batch for batch in self._unsettled if batch.seq > self._sent_seq]
        doubtful = [batch for batch in self._unsettled if batch.seq <= self._sent_seq]
        if doubtful:
            # They may have been applied. Sent under a new number they would count twice.
            self._count("lost", len(doubtful))
            self._count_lost(_weights(batch.families) for batch in doubtful)
        self._start_writer()
        self._renumber(unsent)

    def _renumber(self, batches: list[Batch]) -> None:
        self._unsettled = deque(self._described(replace(batch, seq=seq)) for seq, batch in enumerate(batches, start=1))
        self._last_seq = len(batches)

    def _count_lost(self, losses: Iterable[Iterable[tuple[str, float]]]) -> None:
        with self._recorder.lock:
            for family, weight in chain.from_iterable(losses):
                if weight:
                    self._recorder.count_lost(family, weight)

    def _count(self, outcome: str, batches: int = 1) -> None:
        if batches:
            with self._recorder.lock:
                self._recorder.count(BATCHES, outcome, batches)


def _weights(families: Iterable[FamilyDelta]) -> Iterator[tuple[str, float]]:
    from ..model.labels import labels_of  # of no use to a cold start

    for delta in families:
        if delta.schema == LOST:
            # What told of losses does not arrive itself: they are told again.
            for text, amounts in delta.series:
                yield labels_of(text)["family"], float(amounts.split()[1])
        else:
            yield delta.schema.name, delta.weight
