"""One reading of the shared state, within a time limit."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from .collector import Limits, Scrape, collect
from .errors import StoreError, StoreRefused, StoreUnavailable
from .exposition.family import Extras
from .pipeline import Pipeline
from .store.base import Store
from .store.conversation import adrive

__all__ = ["take_scrape"]


async def take_scrape(
    pipeline: Pipeline,
    started_s: float,
    patience_s: float,
    names: frozenset[str] = frozenset(),
    extras: Extras | None = None,
) -> Scrape:
    """Read what all instances have sent, this one's own increments included.

    Args:
        pipeline: whose store is read.
        started_s: when the request came, by `time.perf_counter`; the scrape tells how long it took since.
        patience_s: seconds from then on after which it is given up.
        names: family or sample names to keep, as in `name[]`; all when empty.
        extras: what to read beyond the numbers.

    Raises:
        StoreError: the store could not be read in time; a sentence that may be shown to whoever asked.
    """
    try:
        async with asyncio.timeout(started_s + patience_s - time.perf_counter()):
            # What this very process has not sent yet belongs on its own page.
            with suppress(StoreError):
                await pipeline.flusher.aflush()
            limits = Limits(pipeline.settings.series_ttl_s, pipeline.settings.instance_lease_s)
            scrape = await collect(pipeline.store, limits, names, extras or Extras())
    except TimeoutError:
        raise StoreUnavailable(f"the store did not answer within {patience_s:.3g} s") from None
    except StoreError as err:
        raise StoreError(f"the store could not be read: {err}") from err
    if scrape.leftovers:
        await _tidy(pipeline.store, scrape, started_s + patience_s - time.perf_counter())
    return scrape.with_duration(time.perf_counter() - started_s).named(names)


async def _tidy(store: Store, scrape: Scrape, patience_s: float) -> None:
    """Keep small what is stored; the page has been read, and is the same with and without it."""
    with suppress(StoreError, TimeoutError):
        async with asyncio.timeout(patience_s), store.link() as link:
            for entry, texts in scrape.leftovers.items():
                with suppress(StoreRefused):  # a key that turned out to be foreign is not in the way of the others
                    await adrive(store.tidy(entry, texts), link)
