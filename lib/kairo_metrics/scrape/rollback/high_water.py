"""The counters of the last page, which show what a store lacks after it went back in time.

Prometheus takes a counter that is lower than before for one that began again at zero, and adds all of it again. So a
process that has shown a page adds to the next one what the store lacks since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ...errors import StoreUnavailable
from ...exposition.family import Family
from ...exposition.names import answers_to
from ...model.batch import State
from ...model.encoding import SeriesNumbers
from ...model.merging import merge_series
from ...model.recovery import RECOVERY_MS, REMEMBERS_MS, Recovery
from ...model.schema import Schema
from ..collector import COUNTING, Scrape

__all__ = ["HighWater", "with_missing"]

# A breaker skips a store for 3 s at most. So each instance in use has written to a store that started this long ago,
# and has noticed if it went back.
_NOTICED_MS = 5_000
# Batches that the store may apply between the reading of a page and the restoration.
_BATCHES_MEANWHILE = 1_000


# Families of one name and of different types may stand side by side.
_Kind = tuple[str, str]


def _kind(family: Family) -> _Kind:
    return family.schema.name, family.schema.type


@dataclass(frozen=True, slots=True)
class _Rollback:
    """A state that went back in time, or may have.

    Args:
        since_ms: when this was noticed, by the server's clock.
        shard: the shard of the state.
        known: the state before.
        is_certain: whether the state itself shows that it went back. If not, the shard has a new run of the server.
        is_proven: whether something was lost. A new run alone has lost nothing, until a count is lower than shown, or
            the first page since then lacks a series. On later pages a series may be gone because it was removed.
    """

    since_ms: int
    shard: int
    known: State
    is_certain: bool = True
    is_proven: bool = True


class HighWater:
    """Remembers the counters of the pages that were shown, and the states that they were read from.

    Example:
        >>> from ...exposition.page import Page
        >>> water, jobs = HighWater(), Schema("jobs", "counter")
        >>> water.remember(Scrape(Page((Family(jobs, {b"": b"10"}),)), (State("blue", 5),), (None,)))
        >>> water.missing(Scrape(Page((Family(jobs, {b"": b"7"}),)), (State("blue", 4),), (None,)))[jobs]
        {b'': b'3'}
    """

    def __init__(self) -> None:
        self._families: dict[_Kind, Family] = {}
        self._states: tuple[State, ...] = ()
        self._runs: set[str] = set()
        self._rollback: _Rollback | None = None

    def remember(self, scrape: Scrape, names: frozenset[str] = frozenset()) -> None:
        """Remember the counters of a page that will be shown.

        Args:
            scrape: the page and its states.
            names: the families that were asked for; all when empty. The other families stay remembered as they are.
        """
        counting = {_kind(family): family for family in scrape.page.families if family.schema.type in COUNTING}
        self._states = scrape.states
        self._runs.update(run.id for run in scrape.runs)
        if self._rollback and not self._rollback.is_proven:  # series that are gone now may turn out to be lost
            counting = self._with_gone(counting)
        self._families = {**self._families, **counting} if names else counting

    def _with_gone(self, families: Mapping[_Kind, Family]) -> dict[_Kind, Family]:
        kept = {**self._families, **families}
        for kind, before in self._families.items():
            if kept[kind].schema == before.schema:
                kept[kind] = replace(kept[kind], series={**before.series, **kept[kind].series})
        return kept

    def doubtful_s(self, scrape: Scrape) -> float:
        """Return for how many seconds it is still open whether the store went back.

        That is so if no page was shown yet, and the server has just started with what it had saved. Only instances can
        notice then that something is missing.
        """
        if self._states:
            return 0.0
        return max([0, *(_NOTICED_MS - run.age_ms for run in scrape.runs if run.has_loaded)]) / 1000

    def missing(self, scrape: Scrape, names: frozenset[str] = frozenset()) -> dict[Schema, SeriesNumbers]:
        """Return what the counters lack since the store went back, as numbers to be added to theirs.

        Args:
            scrape: what the store has.
            names: the families that were asked for; all when empty.

        Raises:
            StoreUnavailable: the store went back, and without an earlier page it is not known how far.
        """
        found = self._find_rollback(scrape)
        if found and self._rollback and self._rollback.is_certain and not self._is_over(scrape):
            # The store went back once more before the restoration: instances send again from now on.
            self._rollback = replace(self._rollback, since_ms=found.since_ms)
        elif found or self._is_over(scrape):
            self._rollback = found
        if self._rollback is None:
            if scrape.is_recovering:
                raise StoreUnavailable("it went back in time, and what it lost is being sent again")
            return {}
        missing = dict(self._missing_series(scrape, names, is_first=found is self._rollback))
        if self._rollback.is_proven and not (missing or names or scrape.is_recovering):
            self._rollback = None
            return {}
        return missing

    def missing_for_older(self, scrape: Scrape, names: frozenset[str] = frozenset()) -> dict[Schema, SeriesNumbers]:
        """Return the same for a scrape that is older than the last page. It can't show a new rollback."""
        return dict(self._missing_series(scrape, names)) if self._rollback or scrape.is_recovering else {}

    def state_to_restore(self, scrape: Scrape) -> tuple[int, State] | None:
        """Return the shard and the state to be restored; None while instances may still send again what is missing."""
        rollback = self._rollback
        if (
            rollback is None
            or not rollback.is_proven
            or scrape.is_recovering
            or scrape.page.at_ms - rollback.since_ms < RECOVERY_MS
        ):
            return None
        if rollback.is_certain:
            return rollback.shard, rollback.known
        # The store accepts a restoration only of a state with more batches than its own, which may have passed the old
        # count by now.
        batches = scrape.states[rollback.shard].batches + _BATCHES_MEANWHILE
        return rollback.shard, rollback.known._replace(batches=max(rollback.known.batches, batches))

    def _find_rollback(self, scrape: Scrape) -> _Rollback | None:
        for shard, (known, state, recovery) in enumerate(
            zip(self._states, scrape.states, scrape.recoveries, strict=False)
        ):
            if Recovery.went_back(recovery, state, known):
                return _Rollback(scrape.page.at_ms, shard, known)
        for shard, (known, state, run) in enumerate(zip(self._states, scrape.states, scrape.runs, strict=False)):
            if known.incarnation and known.incarnation == state.incarnation and run.id not in self._runs | {""}:
                return _Rollback(scrape.page.at_ms, shard, known, is_certain=False, is_proven=False)
        return None

    def _is_over(self, scrape: Scrape) -> bool:
        """Tell whether the rollback was long ago, or the state that went back was emptied since."""
        if self._rollback is None:
            return False
        shard, known = self._rollback.shard, self._rollback.known
        if scrape.page.at_ms - self._rollback.since_ms > REMEMBERS_MS or shard >= len(scrape.states):
            return True
        state = scrape.states[shard]
        return state.incarnation != known.incarnation and not Recovery.went_back(scrape.recoveries[shard], state, known)

    def _missing_series(
        self, scrape: Scrape, names: frozenset[str], *, is_first: bool = False
    ) -> Iterator[tuple[Schema, SeriesNumbers]]:
        from .lack import has_lost, has_vanished, lacking_series  # hardly any page needs it

        found = {_kind(family): family for family in scrape.page.families}
        pairs = [
            (family, shown)
            for kind, shown in self._families.items()
            if (not names or answers_to(shown.schema, names))
            and (family := found.get(kind, Family(shown.schema, {}))).schema == shown.schema
        ]
        if self._rollback and not self._rollback.is_proven:
            ended = {(entry.schema.index_field, text) for entry, texts in scrape.expired.items() for text in texts}
            if not any(
                has_lost(family, shown) or (is_first and has_vanished(family, shown, ended)) for family, shown in pairs
            ):
                return
            self._rollback = replace(self._rollback, is_proven=True)
        batches_are_missing = self._are_batches_missing(scrape)
        for family, shown in pairs:
            if series := lacking_series(family, shown, batches_are_missing=batches_are_missing):
                yield family.schema, series

    def _are_batches_missing(self, scrape: Scrape) -> bool:
        """Tell whether batches may be lost that no instance has sent again, given up or restored."""
        if self._rollback is None or not self._rollback.is_certain or self._rollback.shard >= len(scrape.states):
            return True
        known, recovery = self._rollback.known, scrape.recoveries[self._rollback.shard]
        if recovery is None or not recovery.covers(known) or any(one and one.missing > 0 for one in scrape.recoveries):
            return True
        return recovery.name == known.incarnation and recovery.goal < known.batches  # this page knew of more


def with_missing(scrape: Scrape, missing: Mapping[Schema, SeriesNumbers]) -> Scrape:
    """Return the scrape with what is missing added to its families."""
    families = {_kind(family): family for family in scrape.page.families}
    for schema, series in missing.items():
        family = Family(schema, {})
        family = families.get(_kind(family), family)
        families[_kind(family)] = replace(family, series=merge_series(schema, [dict(family.series), series]))
    page = replace(scrape.page, families=tuple(families[kind] for kind in sorted(families)))
    return replace(scrape, page=page)
