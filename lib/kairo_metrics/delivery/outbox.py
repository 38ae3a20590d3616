"""An instance's batches: numbered, in order, and kept until the store has them and for a while after."""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain

from ..instruments.recorder import Recorder
from ..instruments.sealing import seal
from ..model.batch import (
    WRITER_LEASE_S,
    Applied,
    Batch,
    Duplicate,
    FamilyDelta,
    Gap,
    Refused,
    State,
    Unannounced,
    Verdict,
    Writer,
)
from ..model.delivery_metrics import BATCHES, LOST, OVERFLOWED
from ..model.moment import Moment, elapsed_s

__all__ = ["Outbox"]

_log = logging.getLogger("kairo_metrics")
# So many acknowledged batches are kept, to be sent again if the store loses them.
_KEPT = 64
# Of so many batches before those the weights are kept: on a busy instance minutes, as far as a snapshot may be behind.
_FORGOTTEN = 8_192
# A writer that was silent for half its lease takes a new id. Half, because the server's clock may be ahead of ours.
_LONGEST_SILENCE_S = WRITER_LEASE_S / 2
# An instance renews its own values when this share of their lease is over.
_SHARE_OF_LEASE = 0.1


class Outbox:
    """Seals batches, returns the one to send next, and acts on the store's verdict.

    Args:
        recorder: has the deltas.
        shards: how many there are; an instance writes to one of them.
        instance_lease_s: seconds after which the store ends an instance's own values that were not renewed.
        draw: returns a random number from 0 up to its argument, which is excluded; for ids and the shard.
    """

    def __init__(
        self,
        recorder: Recorder,
        shards: int,
        instance_lease_s: int = 300,
        draw: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._recorder = recorder
        self._sealed = partial(seal, recorder)
        self._shards = shards
        self._draw = draw
        self._renewal_s = instance_lease_s * _SHARE_OF_LEASE
        self._renewed_at: Moment | None = None
        self._unsettled: deque[Batch] = deque()
        self._kept: deque[Batch] = deque(maxlen=_KEPT)
        # The weights, by family, of batches that are not kept any more: so much is lost if the store loses them.
        self._forgotten: deque[tuple[int, tuple[tuple[str, float], ...]]] = deque(maxlen=_FORGOTTEN)
        # The sum of the weights of all batches before those: it is lost, too, if the store comes up empty.
        self._older: defaultdict[str, float] = defaultdict(float)
        self._announced: set[str] = set()
        self._full: set[str] = set()
        self._writer: Writer | None = None
        self._state = State()

    @property
    def writer(self) -> Writer:
        """The identity under which batches are sent.

        It is drawn with the first batch: a platform may start many instances from a snapshot of a loaded one.
        """
        return self._writer or self._start_writer()

    def _start_writer(self) -> Writer:
        # A new writer keeps the shard: its state is the one that this instance knows.
        shard = self._writer.shard if self._writer else self._draw(self._shards)
        writer = self._writer = Writer(self._id(), shard)
        self._last_seq = 0
        # How often each unsettled batch was sent without a verdict.
        self._in_doubt: defaultdict[int, int] = defaultdict(int)
        self._early_seq = 0
        self._confirmed_at = self._asked_at = self._recorder.now()
        self._kept.clear()
        self._forgotten.clear()
        self._older.clear()
        self._announced.clear()
        return writer

    def _id(self) -> str:
        return f"{self._draw(1 << 64):016x}"

    @property
    def unsettled(self) -> bool:
        """Whether a sealed batch has no verdict yet."""
        return bool(self._unsettled)

    def next(self) -> Batch | None:
        """Return the batch to send next: an unsettled one, else a new one, else None."""
        if self._writer is None:
            self._start_writer()
        self._asked_at = now = self._recorder.now()
        self._replace_expired_writer(now)
        if not self._unsettled:
            self._seal(now)
        return self._unsettled[0] if self._unsettled else None

    def mark_sent(self, batch: Batch) -> None:
        """Remember, before a batch is sent, that the store may apply it: the sender may never learn what came of it."""
        self._in_doubt[batch.seq] += 1

    def mark_unsent(self, batch: Batch) -> None:
        """Take that back: this time the first unsettled batch certainly did not reach the store.

        Of any other batch this changes nothing: the attempt of a stopped event loop may end long afterwards.
        """
        if self._unsettled and self._unsettled[0] is batch:
            self._in_doubt[batch.seq] -= 1

    def may_be_applied(self, batch: Batch) -> bool:
        """Tell whether the store may have applied an unsettled batch, although no verdict says so."""
        # Of a batch that was sent too early, a copy may be on its way, and be applied after the batch before it.
        is_next = self._unsettled[0].seq == batch.seq or self._in_doubt.get(batch.seq - 1, 0) > 0
        return self._in_doubt.get(batch.seq, 0) > 0 or (batch.seq == self._early_seq and is_next)

    def settle(self, batch: Batch, verdict: Verdict) -> None:
        """Act on the store's verdict on the first unsettled batch; a verdict on another batch changes nothing."""
        if not self._unsettled or self._unsettled[0] is not batch:
            return
        # The verdict may be as old as the request: an instance can be frozen while it waits.
        self._confirmed_at = self._asked_at
        self._in_doubt[batch.seq] -= 1
        match verdict:
            case Applied() | Duplicate():
                self._unsettled.popleft()
                del self._in_doubt[batch.seq]
                self._keep(batch)
                for delta in batch.families:
                    if delta.metadata:
                        self._announced.add(delta.schema.index_field)
                self._state = verdict.state
                if isinstance(verdict, Duplicate):
                    self._count("duplicate")
                else:
                    self._log_overflow(batch, verdict.overflowed)
            case Gap(1, state) if self._continues_as(state):
                # The state is there and our record is not: it was evicted. Batches sent again would count twice.
                self._change_writer()
            case Gap(expected):
                self._early_seq = batch.seq
                self._close_gap(expected)
            case Unannounced(positions):
                unknown = [batch.families[position].schema for position in positions]
                # The index was emptied or damaged, so it may lack those, too, in which the store itself counts.
                self._announced.difference_update(schema.index_field for schema in (*unknown, BATCHES, OVERFLOWED))
                self._unsettled[0] = self._described(batch)
            case Refused(positions):
                self._count_lost([_weights(batch.families[position] for position in positions)])
                kept = (delta for position, delta in enumerate(batch.families) if position not in positions)
                self._unsettled[0] = batch._replace(families=tuple(kept))

    def _seal(self, now: Moment) -> None:
        if self._kept:
            # Only now: a batch has arrived, so this process does send. It must not take what another one could send.
            self._recorder.inherit()
        if not self._recorder.pending:
            return
        if not self._recorder.instance:
            # Not drawn before: a platform may start many instances from a snapshot of a loaded one.
            self._recorder.instance = self._id()
        if self._renewed_at is None:
            self._renewed_at = now
        if elapsed_s(self._renewed_at, now) >= self._renewal_s:
            self._recorder.renew()
            self._renewed_at = now
        self._last_seq += 1
        batch = self._sealed(self._last_seq, known=self._state, sealed_at=now)
        fields = [delta.schema.index_field for delta in batch.families]
        is_known = self._announced.issuperset([BATCHES.index_field, OVERFLOWED.index_field, *fields])
        self._unsettled.append(batch if is_known else self._described(batch))

    def _described(self, batch: Batch) -> Batch:
        """Add the metadata of the families that this writer has not announced."""
        families = list(batch.families)
        for schema in (BATCHES, OVERFLOWED):  # the store itself counts in these
            if schema.index_field not in self._announced and not any(delta.schema == schema for delta in families):
                families.append(FamilyDelta(schema, (), 0.0))
        return batch._replace(
            families=tuple(
                delta._replace(metadata=delta.schema.metadata())
                if delta.schema.index_field not in self._announced
                else delta
                for delta in families
                if delta.series or delta.cleared or delta.schema.index_field not in self._announced
            ),
        )

    def _log_overflow(self, batch: Batch, positions: Iterable[int]) -> None:
        """Log, once for each family, that it has more label sets than the store or this instance takes."""
        full = [batch.families[position].schema.name for position in positions]
        for delta in batch.families:
            if delta.series and delta.schema is OVERFLOWED:
                from ..model.labels import labels_of  # most programs need it never

                full += [labels_of(text)["family"] for text, _ in delta.series]
        for family in full:
            if family in self._full:
                continue
            self._full.add(family)
            _log.warning(
                "metric %s has more label sets than METRICS_MAX_SERIES, or too long ones: the rest is counted "
                "together as __overflow__; take out the label whose values clients choose, or raise the limit",
                family,
            )

    def _continues_as(self, state: State) -> bool:
        """Return whether a state is the one that we know, with no fewer batches."""
        known = self._state
        return bool(known.incarnation) and state.incarnation == known.incarnation and state.batches >= known.batches

    def _keep(self, batch: Batch) -> None:
        if len(self._kept) == _KEPT:
            oldest = self._kept[0]
            if len(self._forgotten) == _FORGOTTEN:
                for family, weight in self._forgotten[0][1]:
                    self._older[family] += weight
            weights = _weights(oldest.families)
            if self._forgotten and self._forgotten[-1][1] == weights:
                weights = self._forgotten[-1][1]  # requests make equal batches; equal weights are kept once
            self._forgotten.append((oldest.seq, weights))
        self._kept.append(batch)

    def _close_gap(self, expected: int) -> None:
        """Send again the acknowledged batches that the store has lost, and count those that are not kept any more."""
        held = [*self._kept, *self._unsettled]
        missing = held[0].seq - expected
        if missing > 0:
            self._count("lost", missing)
            self._count_lost(weights for seq, weights in self._forgotten if seq >= expected)
            if expected == 1:
                self._count_lost([self._older.items()])
        resent = [batch._replace(known=self._state, replaces=1) for batch in self._kept if batch.seq >= expected]
        self._count("replayed", len(resent))
        if resent:
            resent[0] = resent[0]._replace(replaces=1 + max(0, missing))
        resent += self._unsettled
        if missing > 0 or self._was_silent_too_long(self._recorder.now()):
            # The old id can't go on: it has a gap, or the store may drop its record before these batches arrive.
            self._start_writer()
            self._renumber(resent)
            return
        self._kept = deque((batch for batch in held if batch.seq < expected), maxlen=_KEPT)
        self._unsettled = deque(resent)

    def _replace_expired_writer(self, now: Moment) -> None:
        """Take a new id if the store may have dropped our record: without it, it can't recognise a duplicate."""
        if self._was_silent_too_long(now):
            self._change_writer()

    def _was_silent_too_long(self, now: Moment) -> bool:
        return elapsed_s(self._confirmed_at, now) >= _LONGEST_SILENCE_S

    def _change_writer(self) -> None:
        """Take a new id, and keep of the unsettled batches those that certainly were not applied."""
        doubtful = [batch for batch in self._unsettled if self.may_be_applied(batch)]
        unsent = [batch for batch in self._unsettled if batch not in doubtful]
        if doubtful:
            # They may have been applied. Sent again under another id they would count twice.
            self._count("lost", len(doubtful))
            self._count_lost(_weights(batch.families) for batch in doubtful)
        self._start_writer()
        self._renumber(unsent)

    def _renumber(self, batches: list[Batch]) -> None:
        self._unsettled = deque(self._described(batch._replace(seq=seq)) for seq, batch in enumerate(batches, start=1))
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


def _weights(families: Iterable[FamilyDelta]) -> tuple[tuple[str, float], ...]:
    weights: list[tuple[str, float]] = []
    for delta in families:
        if delta.schema.index_field == LOST.index_field:
            weights += _lost_in(delta)
        else:
            weights.append((delta.schema.name, delta.weight))
    return tuple(weights)


def _lost_in(delta: FamilyDelta) -> Iterator[tuple[str, float]]:
    """Give the losses that a batch has counted: it is lost itself, so they are counted again."""
    from ..model.labels import labels_of  # most programs lose nothing

    for text, amounts in delta.series:
        yield labels_of(text)["family"], float(amounts.split()[1])
