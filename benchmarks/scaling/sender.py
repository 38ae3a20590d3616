"""One instance with its own connection: real recorder, outbox and script, but sending does not wait for the reply."""

from __future__ import annotations

import random
import secrets
from typing import Any

import redis
from redis.connection import parse_url

from benchmarks.scaling.traffic import Traffic
from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.errors import UnknownScript
from lib.kairo_metrics.model.batch import Batch
from lib.kairo_metrics.store.apply_batch import apply_batch
from lib.kairo_metrics.store.command_flow import Command, CommandFlow

__all__ = ["Sender"]


class Sender:
    """One instance.

    Args:
        settings: the address, and the number of shards.
        routes: the number of routes of the watched program.
        number: the number of the instance, the seed of its traffic.
        shard: the shard that it sends to.
    """

    def __init__(self, settings: Settings, routes: int, number: int, shard: int = 0) -> None:
        arguments: Any = parse_url(settings.redis_url or "")  # type: ignore[no-untyped-call]
        self._connection: Any = arguments.pop("connection_class", redis.Connection)(**arguments)
        self._settings = settings
        self._outbox = Outbox(
            (traffic := Traffic(random.Random(number), routes)).recorder,
            settings.shards,
            draw=lambda below: shard if below == settings.shards else secrets.randbelow(below),
        )
        self.traffic = traffic
        self.families = self.series = self.sent_bytes = 0

    @property
    def pending(self) -> bool:
        """Whether there is more to send: a batch holds at most a thousand series."""
        return self.traffic.recorder.pending

    def send(self) -> None:
        """Send the recorded increments as one batch."""
        self._batch, self._steps = _next(self._outbox, self._settings)
        self.sent_bytes += self._send(next(self._steps))
        self.families += len(self._batch.families)
        self.series += sum(len(delta.series) for delta in self._batch.families)

    def _send(self, command: Command) -> int:
        packed = self._connection.pack_command(*command)
        self._connection.send_packed_command(packed, check_health=False)
        return sum(map(len, packed))

    def receive(self) -> None:
        """Wait for the reply, and settle the batch."""
        try:
            while True:
                try:
                    reply = self._connection.read_response()
                except redis.exceptions.NoScriptError as err:
                    self._send(self._steps.throw(UnknownScript(str(err))))
                else:
                    self._steps.send(reply)
        except StopIteration as stop:
            self._outbox.settle(self._batch, stop.value)

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()


def _next(outbox: Outbox, settings: Settings) -> tuple[Batch, CommandFlow[Any]]:
    batch = outbox.next()
    if batch is None:
        raise AssertionError("nothing was recorded before this call")
    return batch, apply_batch(settings, outbox.writer, batch)
