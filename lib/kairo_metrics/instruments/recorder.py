"""The deltas of this instance that are not yet sent."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from ..model.delivery_metrics import LOST, OVERFLOWED
from ..model.encoding import label_text
from ..model.fork_locks import prepare_last
from ..model.moment import CLOCKS, NEVER, Clocks, Moment, elapsed_s
from ..model.schema import Schema
from .pending_series import INSTANCE_PLACE, PendingSeries, listed

if TYPE_CHECKING:
    from ..model.native_counts import NativeCounts
    from .inheritance import Inheritance

__all__ = ["RECORDER", "Follower", "Recorder"]

_log = logging.getLogger("kairo_metrics")
# So many removals of each kind wait while the store is away. If there are more, the oldest is counted as lost.
_MAX_REMOVALS = 10_000
# A process that never flushes may fork again and again. It keeps so many inheritances, and then makes one of them.
_MAX_INHERITANCES = 8


class Follower(Protocol):
    """What asks the program before each flush: a gauge that follows a function, or a reader of another library."""

    @property
    def family(self) -> str:
        """The family that a failure is counted for."""

    def sample(self) -> None:
        """Call the program's functions, and record what they return."""


class Recorder:
    """Collects deltas; `seal` makes batches of them.

    `lock` guards every series, so an increment and a seal never interleave. `epoch` is 1 plus the number of seals that
    left nothing pending: with it a caller knows when its own deltas have been sealed. A fork sets aside what is unsent
    as an inheritance: the parent may never flush, and must not send it as well as a child.

    Args:
        clocks: a monotonic and a wall clock.

    Attributes:
        instance: the instance's id, for the series that only this instance writes; "" until it is drawn.
        followers: what is sampled before each flush.
        touched: the series of the next batch, in order. The keys are a set that keeps it: a series is found, added and
            taken out in constant time.
        removed: the label sets that the store removes before it applies the rest of the next batch.
        cleared: the same for all that have certain labels: label pairs, one a line, or "" for all of the family.

    Example:
        >>> recorder, series = Recorder(), PendingSeries(Schema("jobs", "counter"), "")
        >>> with recorder.lock:
        ...     recorder.add(series, 1, 2.0, weight=2.0)
        >>> recorder.pending
        True
    """

    def __init__(self, clocks: Clocks = CLOCKS) -> None:
        self.clocks = clocks
        # Reentrant: a signal handler or a finalizer may increment in a thread that holds it.
        self.lock = threading.RLock()
        self.epoch = 1
        self.instance = ""
        self._inherited: list[Inheritance] = []
        # Values of another instance alone, which this one renews in its place.
        self._foreign: list[PendingSeries] = []
        self._delivery_series: dict[tuple[str, str], PendingSeries] = {}
        self.touched: dict[PendingSeries, None] = {}
        self.removed: dict[tuple[Schema, str], None] = {}
        self.cleared: dict[tuple[Schema, str], None] = {}
        self._held: WeakSet[PendingSeries] = WeakSet()
        self.followers: WeakSet[Follower] = WeakSet()
        self._failed_families: set[str] = set()

    def now(self) -> Moment:
        """Return the present moment by the recorder's clocks."""
        return Moment.read(self.clocks)

    @property
    def pending(self) -> bool:
        """Whether there is anything to send, or perhaps to inherit."""
        return self._has_unsent() or bool(self._inherited)

    def _has_unsent(self) -> bool:
        return bool(self.touched or self.removed or self.cleared)

    def open_epoch(self) -> int:
        """Sample the followers, and return the epoch after whose end everything recorded by now is sealed."""
        if self.followers:
            self.sample_followers()
        with self.lock:
            return self.epoch if self.pending else self.epoch - 1

    def touch(self, series: PendingSeries) -> None:
        """Make the series part of the next batch; the caller holds `lock`."""
        if not series.touched:
            series.touched = True
            self.touched[series] = None

    def add(self, series: PendingSeries, index: int, amount: float, weight: float = 0.0) -> None:
        """Add to one number of a series; the caller holds `lock`."""
        # There is no call between the read and the write, so a signal handler that increments can't come between.
        series.amounts[index] += amount
        series.weight += weight
        if not series.touched:  # asked here, too: nearly all are, and a call is a fifth of the time
            self.touch(series)

    def observe(self, series: PendingSeries, observed: NativeCounts, max_buckets: int, *, weight: float) -> None:
        """Add to a native histogram; the caller holds `lock`."""
        if series.observed is None:
            series.observed = observed
        else:
            series.observed.add(observed)
        series.observed.limit(max_buckets)
        series.max_buckets = max_buckets
        series.weight += weight
        self.touch(series)

    def replace(self, series: PendingSeries, value: float | str) -> None:
        """Set the value of a series, a number or a text without spaces; the caller holds `lock`."""
        series.value = value if isinstance(value, str) else repr(value)
        series.weight = 1.0
        # A plain tuple: a `Moment` takes three times as long, and a gauge may be set at every request.
        monotonic_s, wall_s = self.clocks
        series.set_at = monotonic_s(), wall_s()
        self.touch(series)

    def set_exemplar(self, series: PendingSeries, index: int, exemplar: str) -> None:
        """Keep the exemplar of one number of a series; the caller holds `lock`."""
        monotonic_s, wall_s = self.clocks
        series.exemplars[index] = exemplar, (monotonic_s(), wall_s())
        self.touch(series)

    def hold(self, series: PendingSeries) -> None:
        """Send a series that only this instance writes, and renew its lease from now on; the caller holds `lock`."""
        self._held.add(series)
        self.touch(series)

    def renew(self) -> None:
        """Send again every series that only this instance writes: the store's lease on each begins anew."""
        with self.lock:
            for series in listed(self._held):
                self.touch(series)

    def follow(self, follower: Follower) -> None:
        """Sample the follower before each flush, for as long as it lives."""
        with self.lock:
            self.followers.add(follower)

    def sample_followers(self) -> None:
        """Sample each follower; a failure is counted as a loss, and the first one of a family is logged."""
        with self.lock:
            followers = listed(self.followers)
        for follower in followers:
            try:
                follower.sample()
            except Exception as err:  # noqa: BLE001  the user's own code; a flush must not fail with it
                family = follower.family
                with self.lock:
                    self.count_lost(family, 1.0)
                if family not in self._failed_families:
                    self._failed_families.add(family)
                    _log.warning("the function of metric %s failed: %r", family, err)

    def restart(self, series: PendingSeries) -> None:
        """Remove the series from the store, and announce it again at zero."""
        with self.lock:
            self._drop({series})
            self.removed[series.schema, series.text] = None
            self.touch(series)

    def remove(self, series: PendingSeries) -> None:
        """Remove the series from the store; what is recorded for its labels later is applied after that."""
        with self.lock:
            self._retire({series})
            self.removed[series.schema, series.text] = None
            self._drop_oldest_over_limit(self.removed)

    def clear(self, known: set[PendingSeries], schema: Schema, pairs: str = "") -> None:
        """Remove from the store all series of a family that have certain labels, those of other instances too.

        Args:
            known: those of this instance.
            schema: the family.
            pairs: the label pairs, one a line as they are printed; "" removes all series of the family.
        """
        with self.lock:
            self._retire(known)
            self.cleared[schema, pairs] = None
            self._drop_oldest_over_limit(self.cleared)

    def reject(self, series: PendingSeries) -> None:
        """Drop a new series for which there is no room, and count it."""
        with self.lock:
            self.touched.pop(series, None)
            self._held.discard(series)
            self.count(OVERFLOWED, series.schema.name)

    def idle_s(self, series: PendingSeries) -> float:
        """Return the seconds since the series was last part of a batch; 0 if it is part of the next one."""
        return 0.0 if series.touched else elapsed_s(series.sealed_at or NEVER, self.now())

    def _drop_oldest_over_limit(self, removals: dict[tuple[Schema, str], None]) -> None:
        if len(removals) > _MAX_REMOVALS:
            [oldest] = listed(removals, 1)
            removals.pop(oldest, None)
            self.count_lost(oldest[0].name, 1.0)

    def _retire(self, removed: set[PendingSeries]) -> None:
        self._drop(removed)
        for series in removed:
            self._held.discard(series)
            # What a program counts in a removed child shows nowhere: a touched series is not put into a batch.
            series.touched = True

    def _drop(self, unsent: set[PendingSeries]) -> None:
        for series in unsent:
            self.touched.pop(series, None)
            series.amounts, series.weight, series.touched = defaultdict(float), 0.0, False
            series.exemplars, series.observed = {}, None

    def count_lost(self, family: str, weight: float) -> None:
        """Count what will never be delivered; the caller holds `lock`."""
        self.count(LOST, family, weight)

    def count(self, schema: Schema, value: str, amount: float = 1.0) -> None:
        """Add to a family about the delivery itself, which has one label; the caller holds `lock`."""
        series = self._delivery_series.get((schema.name, value))
        if series is None:
            made = PendingSeries(schema, label_text(schema.labelnames, [value]))
            series = self._delivery_series.setdefault((schema.name, value), made)
        self.add(series, 1, amount)

    def forget(self) -> None:
        """Drop everything unsent, and be another instance."""
        self.lock = threading.RLock()
        self.epoch += 1
        # Out first: a signal handler may touch a series while these are emptied.
        touched, self.touched = self.touched, {}
        for series in touched:
            series.split_off()
        self.removed, self.cleared = {}, {}
        # The parent renews what it holds. The child holds a series once it has set its value.
        self._held = WeakSet()
        self._foreign, self._inherited, self.instance = [], [], ""

    def prepare_fork(self) -> None:
        """Set aside what is unsent, and hold `lock` until the process has forked."""
        take = None
        if self._has_unsent():
            from .inheritance import Inheritance, new_claim  # few programs fork

            take = new_claim()
        self.lock.acquire()
        if take is None:
            return  # nothing is unsent; or there is no claim, and the parent sends it
        if len(self._inherited) >= _MAX_INHERITANCES:
            self.inherit()
        if self._has_unsent():
            self.instance = self.instance or secrets.token_hex(8)
            touched, self.touched = self.touched, {}
            unsent = [series.split_off() for series in touched]
            self._inherited.append(Inheritance(take, unsent, self.removed, self.cleared))
            self.removed, self.cleared = {}, {}

    def end_fork(self) -> None:
        """Let others record again, in the parent."""
        self.lock.release()

    def start_in_child(self) -> None:
        """Begin as a new instance in a forked child, with nothing but what the parent has set aside."""
        inherited, parent = self._inherited, self.instance
        self.forget()
        self._inherited = inherited
        for each in inherited:
            each.name_instance(parent)

    def inherit(self) -> None:
        """Take what was unsent at earlier forks, as far as no other process has taken it."""
        if not self._inherited:
            return
        with self.lock:
            inherited, self._inherited = self._inherited, []
            for each in inherited:
                if each.take():
                    self.removed = {**each.removed, **self.removed}
                    self.cleared = {**each.cleared, **self.cleared}
                    for series in each.series:
                        self.touch(series)
                        if series.schema.per_instance and INSTANCE_PLACE not in series.text:
                            self._foreign.append(series)
                            self._held.add(series)
            if not self.pending:
                self.epoch += 1


# prometheus_client's instruments belong to the process, and so does the recorder.
RECORDER = Recorder()
prepare_last(RECORDER)
