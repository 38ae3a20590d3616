"""An instance whose batches are written by hand, for the script that applies them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lib.kairo_metrics.model.batch import Applied, Batch, State, Verdict, Writer
from lib.kairo_metrics.model.delivery_metrics import BATCHES, OVERFLOWED
from lib.kairo_metrics.model.moment import Moment
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.command_flow import Command, run_flow
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.batches import delta
from tests.support.instance import JOBS, settings

__all__ = [
    "ADDED_UP",
    "BOUNDS",
    "ERRORS",
    "FAMILIES",
    "LATENCY",
    "LIFE_S",
    "SHARES",
    "SIZES",
    "WRITER",
    "ScriptedInstance",
    "amount",
]

BOUNDS = tuple(f"{bound}.0" for bound in range(1, 15))
LATENCY = Schema("latency_seconds", "histogram", ("queue",), (*BOUNDS, "+Inf"))
ERRORS = Schema("errors", "counter", ("queue",))
FAMILIES = (JOBS, LATENCY, ERRORS)
SHARES = Schema("shares", "gauge", ("queue",), mode="sum")
SIZES = Schema("sizes", "summary", ("queue",))
ADDED_UP = (*FAMILIES, SHARES, SIZES)
WRITER = Writer("00ff00ff00ff00ff", 0)
LIFE_S = 3_600
# Where the fifth argument is, behind the name, the digest and the number of keys.
_FURTHER = 3 + 4


class ScriptedInstance:
    """A writer that sends batches of its own, and notes each command.

    Args:
        redis_url: the server.
        namespace: its keys.
        whole: whether the plain way is closed to its batches.
    """

    def __init__(self, redis_url: str, namespace: str = "development", *, whole: bool = False) -> None:
        self.store = RedisStore(settings(redis_url, namespace=namespace, max_series=4, series_ttl_s=LIFE_S))
        self.keys = Keys(namespace, 0)
        self._limited = self.store
        self._whole = whole
        self._seq = 0
        self._known = State()
        self.commands: list[Command] = []

    @contextmanager
    def sync_client(self) -> Iterator[ScriptedInstance]:
        yield self

    def call(self, *commands: Command) -> list[Any]:
        """Pass a command on; it asks for the whole script if the plain way is closed."""
        [command] = commands
        if self._whole:
            place = _FURTHER + int(command[2])
            further = str(command[place])
            command = (*command[:place], further if " " in further else f"{further} 0 0", *command[place + 1 :])
        self.commands.append(command)
        with self.store.sync_client() as client:
            return client.call(command)

    def send(self, *families: Any, ahead: int = 1) -> Verdict:
        """Send the next batch, or one before or after it."""
        seq = self._seq + ahead
        sealed = Batch(seq, tuple(families), Moment.read(), known=self._known)
        self.commands.clear()
        verdict: Verdict = run_flow(self.store.apply(WRITER, sealed), self)
        if isinstance(verdict, Applied):
            self._seq, self._known = seq, verdict.state
        return verdict

    def announce(self) -> None:
        """Send a first batch, with one series of each family."""
        own = [delta(schema=schema) for schema in (BATCHES, OVERFLOWED)]
        assert isinstance(self.send(*[delta(amount(schema), schema=schema) for schema in ADDED_UP], *own), Applied)

    def use(self) -> Verdict:
        """Send what one request counts."""
        return self.send(*[delta(amount(schema), schema=schema, announce=False) for schema in FAMILIES])

    def close(self) -> None:
        """Close its connections."""
        asyncio.run(self.store.aclose())


def amount(schema: Schema, queue: str = "a") -> tuple[str, str]:
    """Return a series, and what one request adds to it."""
    return f'queue="{queue}"', {LATENCY: "1 0.25 5 1.0", SIZES: "1 1.0 2 512.5"}.get(schema, "1 1.0")
