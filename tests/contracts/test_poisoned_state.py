"""Damage in the fields of the state: every batch still counts once, and pages are served again soon."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress

import pytest

from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.model.recovery import RECOVERY_MS
from lib.kairo_metrics.scrape.state_reader import StateReader
from tests.support.poisoned import INDEX, Poisoned, assert_counted

pytestmark = pytest.mark.slow

NINES = b"9" * 5_000
FAR = b"9999999999999"
COUNTS = [b"", b"junk x", b"\xff", b"-3", b"1.5", b"+5", b"007", b"00", "\u0661\u0662".encode(), NINES]
COUNTS += [b"9" * 15, b"9" * 16, b"9" * 30, b"9223372036854775807"]
NAMES = [
    b"",
    b"junk x",
    b"\xff",
    b"-3",
    b"a b-" + FAR,
    b"a-" + FAR,
    b"a-" + b"9" * 15,
    b"a-" + b"9" * 40,
    b"a-" + NINES,
]
NAMES += [b"x" * 100_000]
ACCOUNTS = [b"", b"junk x", b"\xff \xff", b"1 1 1 1 1", b"1 a-1 1_0 5 3", FAR + b" a-1 10 5 3", FAR + b" a-1 10 5 -3"]
ACCOUNTS += [NINES + b" a-1 10 5 3", FAR + b" a-" + NINES + b" 10 5 3", b" ".join([FAR, b"a-1", *[b"9" * 400] * 3])]
DAMAGE = {"batches": COUNTS, "incarnation": NAMES, "recovery": ACCOUNTS}


class Reader:
    """A function that serves pages; it has served none yet, or remembers the last one."""

    def __init__(self, cms: Poisoned) -> None:
        self._store = cms.store
        self._reader = StateReader(cms.store, cms.settings, self.aflush)

    async def aflush(self) -> None:
        """Send nothing."""

    def jobs(self) -> bytes:
        """Return the value of one counter on the page."""
        return asyncio.run(self._jobs())

    async def _jobs(self) -> bytes:
        try:
            page, upkeep = await self._reader.read_page(time.perf_counter(), 5.0)
            await self._reader.maintain(upkeep)
        finally:
            await self._store.aclose()
        [jobs] = [family for family in page.families if family.schema.name == "jobs"]
        return jobs.series[b'queue="a"']


@pytest.mark.parametrize("field", DAMAGE)
def test_damage_to_the_state_counts_nothing_twice(cms: Poisoned, field: str) -> None:
    """Each batch is applied once, and the next one replaces the damaged field."""
    for times, value in enumerate(DAMAGE[field], 1):
        cms.client.hset(INDEX, field, value)
        for _ in range(2):
            cms.count()
        assert_counted(cms, 1 + 2 * times)
        assert re.fullmatch(rb"[0-9]{1,16}", cms.client.hget(INDEX, "batches") or b"")
        assert re.fullmatch(rb"[0-9A-Za-z-]{1,64}", cms.client.hget(INDEX, "incarnation") or b"")


@pytest.mark.parametrize("field", DAMAGE)
def test_pages_are_served_again_soon_after_damage_to_the_state(cms: Poisoned, field: str) -> None:
    """Damage that looks like a recovery delays pages no longer than a recovery does, and adds nothing to a counter."""
    warm = Reader(cms)
    assert warm.jobs() == b"2"
    for times, value in enumerate(DAMAGE[field], 2):
        cms.client.hset(INDEX, field, value)
        for reader in (warm, Reader(cms)):
            with suppress(StoreError):
                assert reader.jobs() == b"%d" % (2 * times - 2)
        cms.count()
        end_recovery(cms)
        for reader in (warm, Reader(cms)):
            assert reader.jobs() == b"%d" % (2 * times), value[:40]


def end_recovery(cms: Poisoned) -> None:
    """Make a recovery so old that it ends; leave one that began in the future."""
    account: bytes = cms.client.hget(INDEX, "recovery") or b""
    since, space, rest = account.partition(b" ")
    if since != FAR and since.isdigit() and len(since) == len(FAR):
        cms.client.hset(INDEX, "recovery", b"%d" % (int(since) - RECOVERY_MS) + space + rest)
