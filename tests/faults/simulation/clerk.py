"""Checks an outbox: everything that it drops is in the store, or counted as lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.batch import Applied, Batch, Duplicate, Gap, Refused, Verdict
from tests.faults.simulation.parcels import Parcel, Parcels, Violation, Weights, worth
from tests.faults.simulation.server import Server

__all__ = ["Clerk"]


class Clerk:
    """Wraps an outbox, and compares its content before and after each call.

    Args:
        owner: the number of the instance.
        recorder: its losses are added up.
        outbox: the outbox.
        parcels: gets every sealed amount.
        server: knows what is stored.

    Attributes:
        heard_in: how often the state had gone back when the last reply was sent.
        unseen: parcels that the store lost when no instance kept them any more.
    """

    def __init__(self, owner: int, recorder: Recorder, outbox: Outbox, parcels: Parcels, server: Server) -> None:
        self.heard_in = 0
        self.unseen: list[Parcel] = []
        self._owner = owner
        self._outbox = outbox
        self._parcels = parcels
        self._server = server
        self._lost: Weights = Counter()
        self._sent_as: dict[int, list[Parcel]] = {}
        self._settle, self._next = outbox.settle, outbox.next
        self._seal, self._count_lost = outbox._sealed, recorder.count_lost
        watched: Any = outbox
        watched.settle, watched.next, watched._sealed = self.settle, self.next, self.seal
        watched_recorder: Any = recorder
        watched_recorder.count_lost = self.count_lost

    def seal(self, *arguments: Any, **named: Any) -> Batch:
        """Add what is sealed to the parcels."""
        batch = self._seal(*arguments, **named)
        self._parcels.add(self._owner, batch)
        return batch

    def count_lost(self, family: str, weight: float) -> None:
        """Add up what is counted as lost."""
        self._lost[family] += int(weight)
        self._count_lost(family, weight)

    def next(self) -> Batch | None:
        """Check a writer that takes a new id after a long pause."""
        batch: Batch | None = self._watched(self._next, None)
        return batch

    def settle(self, batch: Batch, verdict: Verdict) -> None:
        """Check the effect of a verdict."""
        if isinstance(verdict, Applied | Duplicate):
            for parcel in self._parcels.of([batch]):
                if not parcel.applied:
                    raise Violation(f"taken as delivered, but was not applied: {parcel!r}")
            self._sent_as[batch.seq] = self._parcels.of([batch])
        self._watched(lambda: self._settle(batch, verdict), verdict)

    def _watched(self, act: Callable[[], Any], verdict: Verdict | None) -> Any:
        outbox = self._outbox
        writer, lost = outbox._writer, self._lost.copy()
        unsettled, forgotten = list(outbox._unsettled), [seq for seq, _ in outbox._forgotten]
        doubtful = self._parcels.of(batch for batch in unsettled if outbox.may_be_applied(batch))
        before = self._held()
        told = isinstance(verdict, Gap) and not self._seems_evicted(verdict)
        done = act()
        if outbox._writer is not writer:
            sent_as, self._sent_as = self._sent_as, {}
            self._server.evicted.discard(writer.id if writer else "")
        else:
            sent_as = self._sent_as
        after = set(self._held())
        gone = [parcel for parcel in before if parcel not in after]
        if isinstance(verdict, Gap) and told and outbox._writer is not writer:
            counted = [parcel for seq in forgotten if seq >= verdict.expected for parcel in sent_as.get(seq, ())]
        elif isinstance(verdict, Refused):
            counted = gone
        else:
            counted = [parcel for parcel in gone if parcel in doubtful]
        self._compare(counted, self._lost - lost)
        self._look_after([parcel for parcel in gone if not parcel.lost], told=told)
        return done

    def _compare(self, counted: Sequence[Parcel], lost: Weights) -> None:
        for parcel in counted:
            parcel.lost = True
        if worth(counted) != +lost:
            raise Violation(f"instance {self._owner} counts {dict(+lost)} as lost, but lost {dict(worth(counted))}")

    def _seems_evicted(self, gap: Gap) -> bool:
        """Tell whether a record is missing in a state that has not gone back, as far as an instance can tell."""
        known = self._outbox._state
        same = bool(known.incarnation) and gap.state.incarnation == known.incarnation
        return gap.expected == 1 and same and gap.state.batches >= known.batches

    def _look_after(self, gone: Iterable[Parcel], *, told: bool) -> None:
        for parcel in gone:
            if parcel in self._server.held:
                continue
            if not parcel.rolled_back:
                raise Violation(f"instance {self._owner} drops what is not in the store: {parcel!r}")
            if told and self._server.disturbed == self.heard_in:
                raise Violation(f"instance {self._owner} got a gap as reply, and does not count {parcel!r}")
            self.unseen.append(parcel)

    def _held(self) -> list[Parcel]:
        outbox = self._outbox
        forgotten = [parcel for seq, _ in outbox._forgotten for parcel in self._sent_as.get(seq, ())]
        return [*self._parcels.of([*outbox._unsettled, *outbox._kept]), *forgotten]

    def kept(self) -> list[Parcel]:
        """Return the acknowledged parcels that are kept to be sent again."""
        return self._parcels.of(self._outbox._kept)
