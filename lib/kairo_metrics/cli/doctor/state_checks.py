"""Checks of what is stored: families, damage, the number of series, and lost samples."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from ...config.settings import Settings
from ...errors import StoreError
from ...exposition.family import Extras, Family
from ...model.delivery_metrics import LOST, OVERFLOWED
from ...model.labels import labels_of
from ...model.schema import Schema
from ...scrape.clashes import find_clashes
from ...scrape.selection import is_deployed, kind_of, select
from ...store.redis_store import RedisStore
from ..cardinality.stored_series import StoredFamily, StoredNamespace, read_namespace
from ..formatting import duration
from .clash_check import check_clashes
from .finding import Finding, fail, ok, skipped, warn
from .redis_advice import advice_on_reply
from .time_limit import within

__all__ = ["check_state", "skip_state"]

_CHECKS = ("families", "quarantine", "clashes", "series", "lost")
_NEAR = 0.8
_SHOWN = 3


def skip_state(reason: str) -> Iterator[Finding]:
    """Return these checks as skipped, with the reason."""
    return (skipped(check, reason) for check in _CHECKS)


def check_state(settings: Settings, limit_s: float) -> Iterator[Finding]:
    """Read everything that the namespace holds, and check it.

    Args:
        settings: the address, the namespace and the limits.
        limit_s: seconds that the reading may take.
    """
    try:
        stored = within(limit_s, lambda: asyncio.run(_read(settings)))
    except (StoreError, TimeoutError) as err:
        reason = str(err) or f"it could not be read within {limit_s:g} s"
        advice = advice_on_reply(reason) or "a scrape would fail as well: see the checks of Redis above"
        yield fail("families", reason, advice)
        yield from (skipped(check, "the state could not be read") for check in _CHECKS[1:])
        return
    yield _families(stored, settings)
    yield _quarantine(stored)
    yield check_clashes(_clashes(stored, settings))
    yield _series(stored, settings)
    yield _lost(stored)


async def _read(settings: Settings) -> StoredNamespace:
    store = RedisStore(settings)
    try:
        return await read_namespace(store)
    finally:
        await store.aclose()


def _families(stored: StoredNamespace, settings: Settings) -> Finding:
    touched_ms = [series.touched_ms for family in stored.families for series in family.series]
    names = {family.schema.name for family in stored.families if family.series}
    if not touched_ms:
        return warn(
            "families",
            f"nothing has arrived under the namespace {settings.namespace!r}",
            "send a few requests; then compare METRICS_NAMESPACE, else VERCEL_ENV, with that of the functions",
        )
    age = duration((stored.snapshot.now_ms - max(touched_ms)) / 1000)
    return ok("families", f"{len(names)} families with {len(touched_ms)} series, the last written {age} ago")


def _quarantine(stored: StoredNamespace) -> Finding:
    damaged: dict[str, int] = {}
    for family in stored.families:  # one for each schema and shard
        if flaws := family.damaged + family.foreign:
            damaged[family.schema.name] = damaged.get(family.schema.name, 0) + flaws
    if stored.snapshot.damaged:
        damaged["entries of the families index"] = stored.snapshot.damaged
    if not damaged:
        return ok("quarantine", "nothing is damaged")
    return warn(
        "quarantine",
        f"damaged, and left out of the page: {_listed(damaged)}",
        "whatever else writes there should not; `wipe --family NAME` deletes a family, damage included",
    )


def _clashes(stored: StoredNamespace, settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Yield what a scrape would count as `kairo_clashing_schemas`."""
    snapshot = stored.snapshot
    oldest_ms = snapshot.now_ms - settings.series_ttl_s * 1000
    filled = {
        kind_of(family.schema)
        for family in stored.families
        if any(series.touched_ms >= oldest_ms for series in family.series)
    }
    served = select(snapshot, frozenset(), exemplars=False).served
    families = (Family(schema, {}) for kind, schema in served.items() if kind in filled)
    deployed = {entry.schema for entry in snapshot.entries if is_deployed(entry, snapshot.now_ms)}
    for clash in find_clashes(families, Extras()):
        yield clash.told(is_current=clash.family.schema in deployed)


def _series(stored: StoredNamespace, settings: Settings) -> Finding:
    full: dict[str, float] = {}
    for family in stored.families:
        if len(family.series) >= _NEAR * settings.max_series:
            full[family.schema.name] = max(len(family.series), full.get(family.schema.name, 0))
    overflowed = _sums(stored, OVERFLOWED)
    advice = "see `series --by label` for the label that grows; then fix it, or raise METRICS_MAX_SERIES"
    if overflowed:
        return warn("series", f"counted under __overflow__ instead: {_listed(overflowed)}", advice)
    if full:
        return warn("series", f"near METRICS_MAX_SERIES={settings.max_series}: {_listed(full)}", advice)
    most = max((len(family.series) for family in stored.families), default=0)
    return ok("series", f"{most} at most in one family, METRICS_MAX_SERIES is {settings.max_series}")


def _lost(stored: StoredNamespace) -> Finding:
    lost = _sums(stored, LOST)
    if not lost:
        return ok("lost", "nothing was lost")
    return warn(
        "lost",
        f"could not be delivered: {_listed(lost)}",
        "look in the functions' log for `metrics could not be flushed`; the sum stays until it is wiped",
    )


def _sums(stored: StoredNamespace, schema: Schema) -> dict[str, float]:
    """Sum a counter by its label `family`."""
    sums: dict[str, float] = {}
    for family in stored.families:
        if family.schema == schema:
            _add(sums, family)
    return sums


def _add(sums: dict[str, float], family: StoredFamily) -> None:
    for series in family.series:
        name = labels_of(series.text.decode()).get("family", "")
        if amount := family.events(series):
            sums[name] = sums.get(name, 0) + amount


def _listed(amounts: dict[str, float] | dict[str, int]) -> str:
    largest = sorted(amounts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {amount:g}" for name, amount in largest[:_SHOWN])
    return shown + (f" and {len(largest) - _SHOWN} more" if len(largest) > _SHOWN else "")
