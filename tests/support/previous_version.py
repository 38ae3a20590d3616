"""Instances of the version before the plain way through the script: its script, and its form of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.model.batch import WRITER_LEASE_S, Batch, FamilyDelta, Verdict, Writer
from lib.kairo_metrics.model.delivery_metrics import BATCHES, OVERFLOWED
from lib.kairo_metrics.model.encoding import label_text
from lib.kairo_metrics.model.moment import Moment, elapsed_s
from lib.kairo_metrics.store.apply_batch import _verdict
from lib.kairo_metrics.store.command_flow import CommandFlow
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore

__all__ = ["PreviousStore"]

SCRIPT = (Path(__file__).parents[1] / "golden" / "before-plain.lua").read_bytes()
APPLIED = label_text(BATCHES.labelnames, ["applied"])


class PreviousStore(RedisStore):
    """The store of that version: each batch counts itself, and names all of its families' headers."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._chosen = settings

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """See `Store.apply`."""
        reply = yield ("EVAL", SCRIPT, *self._arguments(writer, _counted(batch)))
        return _verdict(reply)

    def _arguments(self, writer: Writer, batch: Batch) -> list[Any]:
        keys = Keys(self._chosen.namespace, writer.shard)
        arguments: list[Any] = [
            3 + len(batch.families),
            keys.writer(writer.id),
            keys.families,
            keys.series(OVERFLOWED),
            *[keys.series(delta.schema) for delta in batch.families],
            batch.seq,
            WRITER_LEASE_S * 1000,
            self._chosen.series_ttl_s * 1000,
            self._chosen.max_series,
            int(elapsed_s(batch.sealed_at, Moment.read()) * 1000),
            writer.id,
            f"{batch.known.incarnation} {batch.known.batches}" if batch.known.incarnation else "",
            batch.replaces if batch.restores is None else f"restores {batch.restores}",
        ]
        for delta in batch.families:
            schema = delta.schema
            counted_as = "" if schema.type == "exemplars" else label_text(OVERFLOWED.labelnames, [schema.name])
            header = f"{schema.index_field}\n{schema.rule}\n{schema.shape}\n{schema.overflow_text}\n{counted_as}"
            arguments += (header, delta.metadata, len(delta.cleared), *delta.cleared, len(delta.series))
            for series in delta.series:
                arguments += series
        return arguments


def _counted(batch: Batch) -> Batch:
    """Return the batch with its own increment of the applied batches, as the outbox of that version added it."""
    counts = [delta for delta in batch.families if delta.schema == BATCHES] or [FamilyDelta(BATCHES, (), 0.0)]
    others = [delta for delta in batch.families if delta.schema != BATCHES]
    [own] = counts
    return batch._replace(families=(*others, own._replace(series=(*own.series, (APPLIED, "1 1.0")))))
