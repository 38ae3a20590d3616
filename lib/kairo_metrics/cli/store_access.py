"""What the commands that look into the store share: the link, times in words, and names that are nearly right."""

from __future__ import annotations

import asyncio
import difflib
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from ..config.settings import Settings
from ..errors import KairoError, StoreUnavailable
from ..exposition.family import Family
from ..model.schema import Schema
from ..store.redis_store import RedisStore

__all__ = ["CommandError", "duration", "patient_store", "read_store", "short", "unknown_metric"]

T = TypeVar("T")
# A command is not a request: it may take longer than an instance has for a flush, and yet must come to an end.
_PATIENCE_MS = 10_000
_LONGEST_S = 300
_NEAR = 3
_LONG = 1000


class CommandError(KairoError):
    """A command can't do what was asked of it; the sentence is for whoever typed it."""


def patient_store(settings: Settings) -> RedisStore:
    """Return the store, with the patience of a command."""
    return RedisStore(replace(settings, flush_budget_ms=max(_PATIENCE_MS, settings.flush_budget_ms)))


def read_store(read: Callable[[RedisStore, Settings], Awaitable[T]]) -> T:
    """Run what reads the store of this environment's settings, in an event loop of its own.

    Raises:
        SettingsError: a variable of the environment is malformed.
        StoreError: the store could not be read.
    """
    settings = Settings.from_env()

    async def run() -> T:
        store = patient_store(settings)
        try:
            async with asyncio.timeout(_PATIENCE_MS / 1000):
                await store.ping()
            async with asyncio.timeout(_LONGEST_S):
                return await read(store, settings)
        except TimeoutError as err:
            raise StoreUnavailable("Redis did not answer in time: `doctor` looks for the reason") from err
        finally:
            await store.aclose()

    return asyncio.run(run())


def unknown_metric(name: str, schemas: Iterable[Schema], namespace: str) -> CommandError:
    """Return the error that says so, with the names that are near."""
    known = {known for schema in schemas for known in Family(schema, {}).sample_names}
    known = {other for other in known if not other.endswith("_created")}  # few pages have them
    if not known:
        return CommandError(
            f"nothing is stored under the namespace {namespace!r}: set METRICS_NAMESPACE, or VERCEL_ENV"
        )
    near = (
        difflib.get_close_matches(name, sorted(known), _NEAR)
        or [other for other in sorted(known) if name in other][:_NEAR]
    )
    advice = f"did you mean {' or '.join(near)}?" if near else "`series` lists what there is"
    return CommandError(f"there is no metric {name!r} in the namespace {namespace!r}; {advice}")


def short(value: float) -> str:
    """Print a number for people: all of its whole part, else four digits.

    Example:
        >>> short(1234567.0), short(0.0123456), short(2.5)
        ('1234567', '0.01235', '2.5')
    """
    return f"{value:.0f}" if math.isfinite(value) and abs(value) >= _LONG else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Print how long ago something was.

    Example:
        >>> duration(0.2), duration(59), duration(7200), duration(200000)
        ('0 s', '59 s', '2 h', '2 d')
    """
    seconds = max(0.0, seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds / size)} {unit}"
    return f"{seconds:.0f} s"
