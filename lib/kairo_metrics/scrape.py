"""Readings of the shared state, each within a time limit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from .collector import Limits, Scrape, collect
from .errors import StoreError, StoreRefused, StoreUnavailable
from .exposition.family import Extras
from .high_water import HighWater, raised
from .pipeline import Pipeline
from .restoration import restore
from .rows import Rows
from .store.conversation import adrive
from .store.schema import Schema

if TYPE_CHECKING:
    from .store.protocol import Store

__all__ = ["Scraper"]

_log = logging.getLogger("kairo_metrics")


class Scraper:
    """Reads the shared state page by page, and lets no counter stand lower than on the page before.

    When the store went back in time, what it lacks is added to the page while instances send their batches again. What
    nobody has sent again is written back. One that has shown no page has nothing to add: it waits for the instances,
    and with a store that has just come up, for them to find out.

    Args:
        pipeline: whose store is read.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._water = HighWater()
        settings = pipeline.settings
        self._limits = Limits(settings.series_ttl_s, settings.instance_lease_s)
        self._begun = self._shown = 0

    async def take(
        self,
        started_s: float,
        patience_s: float,
        names: frozenset[str] = frozenset(),
        extras: Extras | None = None,
    ) -> Scrape:
        """Read what all instances have sent, this one's own increments included.

        Args:
            started_s: when the request came, by `time.perf_counter`; the scrape tells how long it took since.
            patience_s: seconds from then on after which it is given up.
            names: family or sample names to keep, as in `name[]`; all when empty.
            extras: what to read beyond the numbers.

        Raises:
            StoreError: the store could not be read in time; a sentence that may be shown to whoever asked.
        """
        pipeline = self._pipeline
        try:
            async with asyncio.timeout(started_s + patience_s - time.perf_counter()):
                # What this very process has not sent yet belongs on its own page.
                with suppress(StoreError):
                    await pipeline.flusher.aflush()
                self._begun += 1
                turn = self._begun
                scrape = await self._read(names, extras or Extras(), started_s + patience_s)
            # One that was overtaken by another one is older than what was shown, and not a store that went back.
            is_newest = turn > self._shown
            missing = (self._water.missing if is_newest else self._water.missing_of_overtaken)(scrape, names)
        except TimeoutError:
            raise StoreUnavailable(f"the store did not answer within {patience_s:.3g} s") from None
        except StoreError as err:
            raise StoreError(f"the store could not be read: {err}") from err
        if scrape.leftovers:
            await _tidy(pipeline.store, scrape, started_s + patience_s - time.perf_counter())
        if missing and is_newest and self._water.lost(scrape):
            await self._restore(scrape, missing, names, started_s + patience_s - time.perf_counter())
        page = raised(scrape, missing)
        if turn > self._shown:
            self._shown = turn
            self._water.remember(page, names)
        return page.with_duration(time.perf_counter() - started_s).named(names)

    async def _read(self, names: frozenset[str], extras: Extras, end_s: float) -> Scrape:
        """Read the store; where it has just come up and nobody here knows what it had, give the instances some time."""
        scrape = await collect(self._pipeline.store, self._limits, names, extras)
        while doubtful_s := self._water.doubtful_s(scrape):  # it may come up once more meanwhile
            if time.perf_counter() + doubtful_s > end_s:
                raise StoreUnavailable("it has just come up, and may lack what instances are about to send again")
            await asyncio.sleep(doubtful_s)
            scrape = await collect(self._pipeline.store, self._limits, names, extras)
        return scrape

    async def _restore(
        self, scrape: Scrape, missing: Mapping[Schema, Rows], names: frozenset[str], patience_s: float
    ) -> None:
        """Write back what nobody has sent again; the page shows it with and without that."""
        store = self._pipeline.store
        _log.warning("the store went back in time; what no instance sends again is written back from the last page")
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(patience_s), store.link() as link:
                if names:  # what is written back is taken once, so it must be all
                    scrape = await collect(store, self._limits)
                    missing = self._water.missing(scrape)
                if lost := self._water.lost(scrape):
                    shard, known = lost
                    await adrive(restore(store, shard, known, scrape.recoveries[shard], missing), link)


async def _tidy(store: Store, scrape: Scrape, patience_s: float) -> None:
    """Keep small what is stored; the page has been read, and is the same with and without it."""
    with suppress(StoreError, TimeoutError):
        async with asyncio.timeout(patience_s), store.link() as link:
            for entry, texts in scrape.leftovers.items():
                with suppress(StoreRefused):  # a key that turned out to be foreign is not in the way of the others
                    await adrive(store.tidy(entry, texts), link)
