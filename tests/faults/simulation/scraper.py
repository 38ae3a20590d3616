"""A scraper: it reads while instances write, and compares each page with the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from itertools import groupby
from random import Random
from typing import Any

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.errors import StoreUnavailable
from lib.kairo_metrics.exposition.negotiate import PLAIN
from lib.kairo_metrics.model.labels import labels_of
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.snapshot import IndexEntry, Snapshot
from lib.kairo_metrics.scrape.collector import Limits, Scrape, collect
from lib.kairo_metrics.scrape.rollback.high_water import HighWater, with_missing
from tests.faults.simulation.instance import JOBS, LATEST, LIVE, SIZE, SPARE, WAIT
from tests.faults.simulation.parcels import Violation, Weights
from tests.faults.simulation.server import Server, result

__all__ = ["Scraper"]

# The largest number of series of one family.
_SERIES = 24
_GROWING = ("_total", "_bucket", "_count")


class Scraper:
    """Reads pages.

    Args:
        server: the server.
        settings: the bounds.
        chance: draws which messages arrive while it reads.
        meanwhile: lets a message arrive.
        recorded: returns what all instances have recorded.
    """

    def __init__(
        self,
        server: Server,
        settings: Settings,
        chance: Random,
        meanwhile: Callable[[], None],
        recorded: Callable[[], Weights],
    ) -> None:
        self.pages = 0
        self._server = server
        self._settings = settings
        self._chance = chance
        self._meanwhile = meanwhile
        self._recorded = recorded
        self.refused = 0
        self._water = HighWater()
        self._before: dict[str, float] = {}
        self._emptied = 0
        self._low = False

    def scrape(self) -> None:
        """Read a page, check it, and fold what ended instances have left.

        Raises:
            Violation: the page is wrong.
        """
        self.pages += 1
        at_least = self._jobs_held()
        limits = Limits(self._settings.series_ttl_s, self._settings.instance_lease_s)
        taken: Scrape = _finished(collect(self, limits))  # type: ignore[arg-type]
        try:
            missing = self._water.missing(taken)
        except StoreUnavailable:
            self.refused += 1
            return
        if not self._server.disturbed and (added := _added(missing)):
            raise Violation(f"nothing was lost, but the page adds to {sorted(added)}")
        shown = with_missing(taken, missing)
        self._water.remember(shown)
        jobs = sum(float(numbers) for numbers in _rows(taken, JOBS).values())
        if not at_least <= jobs <= self._jobs_held():
            raise Violation(f"the page shows {jobs} jobs; {at_least} to {self._jobs_held()} were stored")
        page = _samples(b"".join(PLAIN.render(shown.page)).decode())
        noticed = [state.incarnation for state in taken.states] != [shard.incarnation for shard in self._server.shards]
        self._compare(page, missing=bool(missing), noticed=noticed)
        self._look_at_totals(page)
        _look_at_histograms(page)
        self._look_at_gauges(page)
        for entry, texts in taken.expired.items():
            result(self._server.store.tidy(entry, texts))

    async def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        return await self._server.store.snapshot()

    async def scan(self, entries: Sequence[IndexEntry]) -> AsyncIterator[tuple[IndexEntry, list[bytes] | None]]:
        """See `Store.scan`; between two families batches arrive."""
        for entry in entries:
            if self._chance.random() < 0.2:
                self._meanwhile()
            async for chunk in self._server.store.scan([entry]):
                yield chunk

    def _jobs_held(self) -> float:
        return sum(parcel.weights[JOBS.name] for parcel in self._server.held if parcel.delta.schema == JOBS)

    def _compare(self, page: dict[str, float], *, missing: bool, noticed: bool) -> None:
        """Check that no counter goes down or vanishes.

        It may if the store was emptied; if a loss was added for long enough, since nothing is written back here;
        and if the server does not report that it restarted, until an instance that knows of the loss has written to
        it. Of full families the sum is compared: a label set that is sent again may not fit any more.
        """
        growing = self._growing(page)
        began_anew = self._emptied != self._server.emptied
        gave_up = not missing and self._low
        unnoticed = not self._server.tells_its_run and (noticed or self._server.unnoticed)
        if not (began_anew or gave_up or unnoticed):
            for name, value in self._before.items():
                if growing.get(name, -1.0) < value:
                    raise Violation(f"{name} went from {value} to {growing.get(name)}")
        self._emptied, self._low = self._server.emptied, missing
        self._before = growing

    def _growing(self, page: dict[str, float]) -> dict[str, float]:
        found: Counter[str] = Counter()
        for name, value in page.items():
            sample = name.partition("{")[0]
            if sample.endswith(_GROWING) and not name.startswith(SPARE.name):
                found[sample if self._settings.max_series < _SERIES else name] += value  # type: ignore[assignment]
        return dict(found)

    def _look_at_totals(self, page: dict[str, float]) -> None:
        """Check that the page shows no more than was recorded: what was added to it may have been sent again."""
        if self._settings.shards > 1 and self._settings.max_series < _SERIES:
            return  # what has its own series in one shard, and overflows in another, may be added twice
        recorded = self._recorded()
        for schema, sample in ((JOBS, "jobs_total"), (WAIT, "wait_count"), (SIZE, "size_count")):
            total = sum(value for name, value in page.items() if name.partition("{")[0] == sample)
            if total > recorded[schema.name]:
                raise Violation(f"{recorded[schema.name]} {schema.name} recorded, but the page shows {total}")

    def _look_at_gauges(self, page: dict[str, float]) -> None:
        live = (parcel.delta for parcel in self._server.held if parcel.delta.schema == LIVE)
        sent = {text for delta in live for text, _ in delta.series}
        for name, value in page.items():
            if name.startswith(LATEST.name) and value not in self._set_values():
                raise Violation(f"{name} is {value}, which no instance has set")
        if sum(name.startswith(f"{LIVE.name}{{") for name in page) > len(sent):
            raise Violation("the page shows more instances than there are")

    def _set_values(self) -> set[float]:
        return {
            float(text.split()[0])
            for parcel in self._server.held
            if parcel.delta.schema == LATEST
            for _, text in parcel.delta.series
        }


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that waits for nothing, and only lets others run."""
    waits_for = None
    while waits_for is None:
        try:
            waits_for = coroutine.send(None)
        except StopIteration as stop:
            return stop.value
    raise Violation("the scrape waits for something")


def _rows(scrape: Scrape, schema: Schema) -> Mapping[bytes, bytes]:
    return next((family.series for family in scrape.page.families if family.schema == schema), {})


def _added(missing: Mapping[Schema, Mapping[bytes, bytes]]) -> set[str]:
    """Return the families to which a page adds, but for what it can't know.

    A series that was removed and began again looks like one that went back. So after a restart the sums of histograms
    look as if they had gone back, too: a negative observation makes a sum lower.
    """
    names = {schema.name for schema in missing}
    if SPARE.name not in names:
        return names
    sums = {
        schema.name
        for schema, series in missing.items()
        if schema == WAIT and not any(int(count) for row in series.values() for count in row.split()[1:])
    }
    return names - sums - {SPARE.name}


def _samples(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def _look_at_histograms(page: dict[str, float]) -> None:
    """Check that buckets are monotone, and that the last one equals the count."""
    buckets = [(name, value) for name, value in page.items() if "_bucket" in name]
    for family, samples in groupby(buckets, key=lambda sample: _without_bound(sample[0])):
        counts = [value for _, value in samples]
        if counts != sorted(counts):
            raise Violation(f"the buckets of {family} are not monotone: {counts}")
        if counts[-1] != page.get(family):
            raise Violation(f"{family} is {page.get(family)}, but its last bucket is {counts[-1]}")


def _without_bound(name: str) -> str:
    family, _, rest = name.partition("_bucket{")
    others = [f'{label}="{value}"' for label, value in labels_of(rest[:-1]).items() if label != "le"]
    return f"{family}_count{{{','.join(others)}}}" if others else f"{family}_count"
