"""Pages of the shared state, each read within a time limit, and the upkeep of the store after each page."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..errors import StoreError, StoreRefused, StoreUnavailable
from ..exposition.family import Extras
from ..exposition.page import Page
from ..model.encoding import SeriesNumbers
from ..model.schema import Schema
from ..store.command_flow import arun_flow
from .collector import Limits, Scrape, collect
from .page_order import PageOrder
from .rollback.high_water import HighWater, with_missing
from .self_metrics import duration

if TYPE_CHECKING:
    from concurrent.futures import Future

    from prometheus_client import CollectorRegistry

    from ..store.store_interface import Store
    from .page_collectors import CollectorRuns, Outcome

__all__ = ["StateReader", "Upkeep"]

_log = logging.getLogger("kairo_metrics")
# The share of the time limit after which a page does without a collector, so that it is still sent in time.
_SHARE_OF_COLLECTORS = 0.8


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Work in the store that one scrape found, to be done after its response.

    Args:
        scrape: what the scrape read.
        missing: what the counters lack since the store went back in time.
        names: the families that were asked for; all when empty.
        patience_s: seconds that the work may take.
    """

    scrape: Scrape
    missing: Mapping[Schema, SeriesNumbers]
    names: frozenset[str]
    patience_s: float


class StateReader:
    """Reads the shared state. No counter is lower than on the page before.

    After the store went back in time, the reader adds to the page what the counters lack, while instances send their
    batches again. What no instance sends again is written back by `maintain`. A reader that has shown no page yet knows
    of nothing to add. It waits until the instances have sent their batches again.

    Args:
        store: where the state is.
        settings: how old series may be.
        flush: sends what this process has counted.
        registries: returns those whose collectors run for each page.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        flush: Callable[[], Awaitable[None]],
        registries: Callable[[], Sequence[CollectorRegistry]] = tuple,
    ) -> None:
        self._store = store
        self._flush = flush
        self._registries = registries
        self._collectors: CollectorRuns | None = None
        self._water = HighWater()
        self._order = PageOrder()
        self._limits = Limits(settings.series_ttl_s, settings.instance_lease_s)
        self._begun = self._shown = 0

    async def read_page(
        self,
        started_s: float,
        patience_s: float,
        names: frozenset[str] = frozenset(),
        extras: Extras | None = None,
        zero_s: float = 0,
    ) -> tuple[Page, Upkeep]:
        """Read what all instances have sent, including what this process has counted.

        Returns the page, and the work for `maintain` once the page is sent.

        Args:
            started_s: when the request came, by `time.perf_counter`. The page shows the seconds since then.
            patience_s: seconds from `started_s` after which the attempt ends.
            names: family or sample names to keep, as in `name[]`; all when empty.
            extras: what to read beyond the numbers.
            zero_s: seconds for which a new series is shown at zero; see `with_zeros`.

        Raises:
            StoreError: the store could not be read in time. Its sentence may be shown to the scraper.
        """
        end_s = started_s + patience_s
        collectors_end_s = started_s + patience_s * _SHARE_OF_COLLECTORS
        extras = extras or Extras()
        if zero_s:
            extras = replace(extras, began=True)
        runs = self._start_collectors(collectors_end_s)
        try:
            async with asyncio.timeout(end_s - time.perf_counter()):
                with suppress(StoreError):
                    await self._flush()
                self._begun += 1
                number = self._begun
                scrape = await self._read(names, extras, end_s)
                outcomes = await self._collectors.outcomes(runs, collectors_end_s) if self._collectors else []
            # If a later scrape was faster, this one is older than the last page. The store did not go back in time.
            is_newest = number > self._shown
            missing = (self._water.missing if is_newest else self._water.missing_for_older)(scrape, names)
        except TimeoutError:
            raise StoreUnavailable(f"the store did not answer within {patience_s:.3g} s") from None
        except StoreError as err:
            raise StoreError(f"the store could not be read: {err}") from err
        shown = with_missing(scrape, missing)
        if is_newest:
            self._shown = number
            self._water.remember(shown, names)
        now_s = time.perf_counter()
        if now_s > end_s:  # merging all that was read took too long
            raise StoreUnavailable(f"the page could not be made within {patience_s:.3g} s")
        page = shown.page
        if zero_s:
            from .new_series import with_zeros  # the setting is off by default

            page = with_zeros(page, zero_s, missing)
        if outcomes:
            from .collected_page import with_collected  # few programs have a collector

            page = with_collected(page, outcomes, extras)
        page = self._order.applied(page.with_family(duration(now_s - started_s)).named(names), names)
        return page, Upkeep(scrape, missing if is_newest else {}, names, end_s - now_s)

    def _start_collectors(self, end_s: float) -> list[tuple[str, Future[Outcome] | None]]:
        from .custom_collectors import custom_collectors  # no page is made before the first scrape

        registries = self._registries()
        if self._collectors is None and any(custom_collectors(registries)):
            from .page_collectors import CollectorRuns  # few programs have a collector

            self._collectors = CollectorRuns()
        return self._collectors.start(registries, end_s) if self._collectors else []

    async def _read(self, names: frozenset[str], extras: Extras, end_s: float) -> Scrape:
        """Read the store. If it has just started and this reader has shown no page, wait for the instances first."""
        scrape = await collect(self._store, self._limits, names, extras, self._order.last)
        while doubtful_s := self._water.doubtful_s(scrape):  # the store may start once more meanwhile
            if time.perf_counter() + doubtful_s > end_s:
                raise StoreUnavailable("it has just come up, and may lack what instances are about to send again")
            await asyncio.sleep(doubtful_s)
            scrape = await collect(self._store, self._limits, names, extras, self._order.last)
        return scrape

    async def maintain(self, upkeep: Upkeep) -> None:
        """Write back what the store lost for good, and delete what it needs no longer.

        It changes no page, so it runs after the response. What fails or takes too long is left to the next scrape,
        which finds it again.
        """
        end_s = time.perf_counter() + upkeep.patience_s
        for work in (self._restore, self._tidy):
            if (left_s := end_s - time.perf_counter()) <= 0:
                return
            try:
                async with asyncio.timeout(left_s):
                    await work(upkeep)
            except (StoreError, TimeoutError):
                continue
            except Exception:  # noqa: BLE001 - the response is sent, and the server must not see an error
                _log.exception("the upkeep of the store failed in a way that it should not")

    async def _tidy(self, upkeep: Upkeep) -> None:
        if not upkeep.scrape.expired:
            return
        async with self._store.client() as client:
            for entry, texts in upkeep.scrape.expired.items():
                with suppress(StoreRefused):  # a key of another type must not stop the work on the other keys
                    await arun_flow(self._store.tidy(entry, texts), client)

    async def _restore(self, upkeep: Upkeep) -> None:
        if not (upkeep.missing and self._water.state_to_restore(upkeep.scrape)):
            return
        _log.warning("the store went back in time; what no instance sends again is written back from the last page")
        scrape, missing = upkeep.scrape, upkeep.missing
        if upkeep.names:  # the store accepts one restoration, so it must hold all families
            self._begun += 1
            number = self._begun
            scrape = await collect(self._store, self._limits)
            if number < self._shown:  # a later page was faster, and compared with it this one seems to have gone back
                return
            missing = self._water.missing(scrape)
        if restored := self._water.state_to_restore(scrape):
            from .rollback.restoration import restore  # hardly any function ever needs it

            shard, known = restored
            async with self._store.client() as client:
                await arun_flow(restore(self._store, shard, known, scrape.recoveries[shard], missing), client)
