"""Access to the store for the commands, and the error for a metric that it does not hold."""

from __future__ import annotations

import asyncio
import difflib
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from ..config.dev_run import join_dev_run
from ..config.settings import Settings
from ..errors import KairoError, StoreUnavailable
from ..exposition.family import Family
from ..model.schema import Schema
from ..store.redis_store import RedisStore
from .terminal import printable

__all__ = ["CommandError", "join_dev_server", "patient_store", "read_store", "unknown_metric"]

T = TypeVar("T")
# A command may take longer than a flush, but it must end.
_PATIENCE_MS = 10_000
_LONGEST_S = 300
_NEAR = 3


class CommandError(KairoError):
    """A command could not do its work. The sentence is printed for the user, without what a terminal would obey."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


def join_dev_server() -> None:
    """Use the store of the dev server of this folder's project, if one runs and the environment names no store."""
    if run := join_dev_run(Path()):
        sys.stderr.write(f"Using the dev server at {run.url}\n")


def patient_store(settings: Settings) -> RedisStore:
    """Return the store with the time limit of a command."""
    return RedisStore(settings.changed(flush_budget_ms=max(_PATIENCE_MS, settings.flush_budget_ms)))


def read_store(read: Callable[[RedisStore, Settings], Awaitable[T]]) -> T:
    """Read the store that this environment's settings name, in a new event loop.

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
    """Return the error for a name that is not in the store. It lists similar names."""
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
