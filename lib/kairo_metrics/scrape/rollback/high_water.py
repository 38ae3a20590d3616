"""How high the counters stood on the last page, for a store that goes back in time.

Prometheus takes a counter that went down for one that began anew at zero, and adds all of it again. Whoever has shown a
page knows what a store lacks that went back since.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ...errors import StoreUnavailable
from ...exposition.family import Family
from ...model.batch import State
from ...model.encoding import SeriesNumbers, number_text
from ...model.recovery import RECOVERY_MS, Recovery
from ...model.schema import Schema
from ..collector import Scrape
from ..merge import merge_series

__all__ = ["HighWater", "raised"]

# After so long whoever shows pages, and this one too, has what can be had.
_REMEMBERS_MS = 60_000
# A breaker leaves a store alone for 3 s at most, so whoever is in use has written to one that came up, and found out.
_NOTICED_MS = 5_000
# The store may take so many batches while a page is read and what it lacks is written back.
_MEANWHILE = 1_000
_COUNTING = frozenset({"counter", "histogram", "native", "summary"})


@dataclass(frozen=True, slots=True)
class _Loss:
    """A state that went back in time.

    Args:
        since_ms: when that was seen, by the server's clock.
        shard: where it is.
        known: what it was.
        is_told: whether the store itself tells; else it is another run of the server, and what counters lack tells.
    """

    since_ms: int
    shard: int
    known: State
    is_told: bool = True


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
        self._families: dict[str, Family] = {}
        self._states: tuple[State, ...] = ()
        self._runs: set[str] = set()
        self._loss: _Loss | None = None

    def remember(self, scrape: Scrape, names: frozenset[str] = frozenset()) -> None:
        """Take in a page that will be shown; of one that was asked for some families the others stay as they are."""
        counting = {family.schema.name: family for family in scrape.page.families if family.schema.type in _COUNTING}
        self._states = scrape.states
        self._runs.update(run.id for run in scrape.runs)
        self._families = {**self._families, **counting} if names else counting

    def doubtful_s(self, scrape: Scrape) -> float:
        """Return how many seconds from now on somebody may still find out that the store went back, and this one can't.

        That is so where no page was shown yet, and the server has just come up with what had been saved.
        """
        if self._states:
            return 0.0
        return max([0, *(_NOTICED_MS - run.age_ms for run in scrape.runs if run.has_loaded)]) / 1000

    def missing(self, scrape: Scrape, names: frozenset[str] = frozenset()) -> dict[Schema, SeriesNumbers]:
        """Return what counters lack of what was shown because the store went back, as rows that can be added to theirs.

        Args:
            scrape: what the store has.
            names: the families that were asked for; all when empty.

        Raises:
            StoreUnavailable: the store went back, and nobody here knows how far.
        """
        loss = self._find_loss(scrape)
        if loss and self._loss and not self._is_over(scrape):
            # Once more, before the difference was written back: instances send again from now on.
            self._loss = replace(self._loss, since_ms=loss.since_ms)
        elif loss or self._is_over(scrape):
            self._loss = loss
        if self._loss is None:
            if scrape.is_recovering:
                raise StoreUnavailable("it went back in time, and what it lost is being sent again")
            return {}
        missing = dict(self._lacking(scrape, names))
        if not (missing or names or scrape.is_recovering):
            self._loss = None
            return {}
        return missing

    def missing_of_overtaken(self, scrape: Scrape, names: frozenset[str] = frozenset()) -> dict[Schema, SeriesNumbers]:
        """Return the same for a scrape that is older than what was shown, of which nothing new can be learned."""
        return dict(self._lacking(scrape, names)) if self._loss or scrape.is_recovering else {}

    def lost(self, scrape: Scrape) -> tuple[int, State] | None:
        """Return a shard, and the state of which nobody sends again what is missing; None while somebody may."""
        loss = self._loss
        if loss is None or scrape.is_recovering or scrape.page.at_ms - loss.since_ms < RECOVERY_MS:
            return None
        if loss.is_told:
            return loss.shard, loss.known
        # Others have brought it past the old count: what it had then, it would have to have more of.
        batches = scrape.states[loss.shard].batches + _MEANWHILE
        return loss.shard, replace(loss.known, batches=max(loss.known.batches, batches))

    def _find_loss(self, scrape: Scrape) -> _Loss | None:
        for shard, (known, state, recovery) in enumerate(
            zip(self._states, scrape.states, scrape.recoveries, strict=False)
        ):
            if Recovery.went_back(recovery, state, known):
                return _Loss(scrape.page.at_ms, shard, known)
        for shard, (known, state, run) in enumerate(zip(self._states, scrape.states, scrape.runs, strict=False)):
            if known.incarnation and known.incarnation == state.incarnation and run.id not in self._runs | {""}:
                return _Loss(scrape.page.at_ms, shard, known, is_told=False)
        return None

    def _is_over(self, scrape: Scrape) -> bool:
        """Tell whether it was long ago, or something else stands in the place of what went back: it was emptied."""
        if self._loss is None:
            return False
        shard, known = self._loss.shard, self._loss.known
        if scrape.page.at_ms - self._loss.since_ms > _REMEMBERS_MS or shard >= len(scrape.states):
            return True
        state = scrape.states[shard]
        return state.incarnation != known.incarnation and not Recovery.went_back(scrape.recoveries[shard], state, known)

    def _lacking(self, scrape: Scrape, names: frozenset[str]) -> Iterator[tuple[Schema, SeriesNumbers]]:
        found = {family.schema.name: family for family in scrape.page.families}
        for name, shown in self._families.items():
            family = found.get(name, Family(shown.schema, {}))
            if (not names or shown.answers_to(names)) and family.schema == shown.schema:
                series = {
                    text: lacks
                    for text, numbers in shown.series.items()
                    if (lacks := _lacks(family.schema, family.series.get(text), numbers))
                }
                if series:
                    yield family.schema, series


def raised(scrape: Scrape, missing: Mapping[Schema, SeriesNumbers]) -> Scrape:
    """Add what is missing to the families of a scrape."""
    families = {family.schema.name: family for family in scrape.page.families}
    for schema, series in missing.items():
        family = families.get(schema.name, Family(schema, {}))
        families[schema.name] = replace(family, series=merge_series(schema, [dict(family.series), series]))
    page = replace(scrape.page, families=tuple(families[name] for name in sorted(families)))
    return replace(scrape, page=page)


def _lacks(schema: Schema, held: bytes | None, shown: bytes) -> bytes | None:
    """Return what one row lacks of another one, number by number; None where that is nothing."""
    if held is None or held == shown:
        return shown if held is None else None
    if schema.rule == "native":
        from ...model.native_counts import NativeCounts  # few have one

        counts = NativeCounts.parse(held.decode().split()).lacking(NativeCounts.parse(shown.decode().split()))
        return counts.text().encode() if counts.count else None
    pairs = zip(schema.shape, held.split(), shown.split(), strict=True)
    words = [b"%d" % max(0, int(b) - int(a)) if letter in "iw" else _short_of(a, b) for letter, a, b in pairs]
    return b" ".join(words) if any(word != b"0" for word in words) else None


def _short_of(held: bytes, shown: bytes) -> bytes:
    one, other = float(held), float(shown)
    if not one < other:  # nor where one of them is no number
        return b"0"
    lacks = other - one
    while one + lacks < other:  # a sum that is lower in its last bit is lower
        lacks = math.nextafter(lacks, math.inf)
    return number_text(lacks).encode()
