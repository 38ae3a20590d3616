"""The shared state, read page by page, each page within a time limit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import StoreError, StoreRefused, StoreUnavailable
from ..exposition.family import Extras
from ..exposition.page import Page
from ..model.encoding import SeriesNumbers
from ..model.schema import Schema
from ..store.command_flow import arun_flow
from .collector import Limits, Scrape, collect
from .rollback.high_water import HighWater, raised
from .rollback.restoration import restore
from .self_metrics import duration

if TYPE_CHECKING:
    from ..store.protocol import Store

__all__ = ["StateReader"]

_log = logging.getLogger("kairo_metrics")


@dataclass(frozen=True, slots=True)
class _Upkeep:
    """What a scrape found to do in the store.

    Args:
        scrape: what it found.
        missing: the series that the store lost and nobody sends again.
        names: the families that were asked for; all when empty.
        end_s: the time, by `time.perf_counter`, after which it is left to the next scrape.
    """

    scrape: Scrape
    missing: Mapping[Schema, SeriesNumbers]
    names: frozenset[str]
    end_s: float


class StateReader:
    """Reads the shared state, and lets no counter stand lower than on the page before.

    When the store went back in time, the reader adds what it lacks to the page while instances send their batches
    again. What nobody has sent again is written back by `maintain`. A reader that has shown no page yet has nothing to
    add: it waits until the instances have sent their batches again.

    Args:
        store: what is read.
        settings: how old series may be.
        flush: sends what this process has counted itself.
    """

    def __init__(self, store: Store, settings: Settings, flush: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._flush = flush
        self._water = HighWater()
        self._limits = Limits(settings.series_ttl_s, settings.instance_lease_s)
        self._begun = self._shown = 0
        self._upkeep: _Upkeep | None = None

    async def read_page(
        self,
        started_s: float,
        patience_s: float,
        names: frozenset[str] = frozenset(),
        extras: Extras | None = None,
    ) -> Page:
        """Read what all instances have sent, including what this process has counted.

        Call `maintain` once the page is on its way.

        Args:
            started_s: when the request came, by `time.perf_counter`. The page tells how long it took since then.
            patience_s: seconds from `started_s` on after which the attempt ends.
            names: family or sample names to keep, as in `name[]`; all when empty.
            extras: what to read beyond the numbers.

        Raises:
            StoreError: the store could not be read in time. Its sentence may be shown to whoever asked.
        """
        end_s = started_s + patience_s
        try:
            async with asyncio.timeout(end_s - time.perf_counter()):
                with suppress(StoreError):
                    await self._flush()
                self._begun += 1
                number = self._begun
                scrape = await self._read(names, extras or Extras(), end_s)
            # A scrape that a later one has overtaken is older than the page before it. That is no store that went back.
            is_newest = number > self._shown
            missing = (self._water.missing if is_newest else self._water.missing_of_overtaken)(scrape, names)
        except TimeoutError:
            raise StoreUnavailable(f"the store did not answer within {patience_s:.3g} s") from None
        except StoreError as err:
            raise StoreError(f"the store could not be read: {err}") from err
        self._upkeep = _Upkeep(scrape, missing if is_newest else {}, names, end_s)
        shown = raised(scrape, missing)
        if number > self._shown:
            self._shown = number
            self._water.remember(shown, names)
        return shown.page.with_family(duration(time.perf_counter() - started_s)).named(names)

    async def _read(self, names: frozenset[str], extras: Extras, end_s: float) -> Scrape:
        """Read the store. If it has just started and this reader knows no page, wait for the instances first."""
        scrape = await collect(self._store, self._limits, names, extras)
        while doubtful_s := self._water.doubtful_s(scrape):  # it may start once more meanwhile
            if time.perf_counter() + doubtful_s > end_s:
                raise StoreUnavailable("it has just come up, and may lack what instances are about to send again")
            await asyncio.sleep(doubtful_s)
            scrape = await collect(self._store, self._limits, names, extras)
        return scrape

    async def maintain(self) -> None:
        """Delete what the last scrape found to be of no more use, and write back what the store lost for good.

        The page is the same with and without it, so it runs after the response. It ends with the patience of that
        scrape, and what it leaves undone the next scrape finds again.
        """
        upkeep, self._upkeep = self._upkeep, None
        if upkeep is None:
            return
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(upkeep.end_s - time.perf_counter()):
                if upkeep.missing and self._water.lost(upkeep.scrape):
                    await self._restore(upkeep)
                if upkeep.scrape.leftovers:
                    await self._tidy(upkeep.scrape)

    async def _tidy(self, scrape: Scrape) -> None:
        async with self._store.client() as client:
            for entry, texts in scrape.leftovers.items():
                with suppress(StoreRefused):  # a key of another type must not keep the others from being tidied
                    await arun_flow(self._store.tidy(entry, texts), client)

    async def _restore(self, upkeep: _Upkeep) -> None:
        _log.warning("the store went back in time; what no instance sends again is written back from the last page")
        scrape, missing = upkeep.scrape, upkeep.missing
        if upkeep.names:  # the store takes one write-back, so it must have all families
            scrape = await collect(self._store, self._limits)
            missing = self._water.missing(scrape)
        if lost := self._water.lost(scrape):
            shard, known = lost
            async with self._store.client() as client:
                await arun_flow(restore(self._store, shard, known, scrape.recoveries[shard], missing), client)
