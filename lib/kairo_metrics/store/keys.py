"""The names of keys; built nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.schema import Schema

__all__ = ["Keys"]


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names of one shard; one hash tag, so that a batch touches one cluster slot.

    Example:
        >>> Keys("production", 0).families
        'kairo:v1:{production/0}:families'
    """

    namespace: str
    shard: int

    @property
    def _prefix(self) -> str:
        return f"kairo:v1:{{{self.namespace}/{self.shard}}}"

    @property
    def families(self) -> str:
        return f"{self._prefix}:families"

    @property
    def shards(self) -> str:
        """Of the first shard: how many there are."""
        return f"{self._prefix}:shards"

    @property
    def probe(self) -> str:
        """A key that is never made: what may be done with it tells what may be done with the others."""
        return f"{self._prefix}:probe"

    def writer(self, writer_id: str) -> str:
        return f"{self._prefix}:writer:{writer_id}"

    def series(self, schema: Schema) -> str:
        return self.series_at(schema.index_field)

    def series_at(self, index_field: str) -> str:
        return f"{self._prefix}:series:{index_field.replace(' ', ':')}"
