"""The names of the keys in Redis; no other module builds them."""

from __future__ import annotations

from typing import NamedTuple

from ..model.schema import Schema

__all__ = ["Keys"]


class Keys(NamedTuple):
    """The key names of one shard. They share a hash tag, so a batch touches one slot of a cluster.

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
        """The key for the number of shards; only the first shard has it."""
        return f"{self._prefix}:shards"

    @property
    def probe(self) -> str:
        """A key that never exists; commands on it show which commands the user may run on the other keys."""
        return f"{self._prefix}:probe"

    def writer(self, writer_id: str) -> str:
        return f"{self._prefix}:writer:{writer_id}"

    def series(self, schema: Schema) -> str:
        return self.series_at(schema.index_field)

    def series_at(self, index_field: str) -> str:
        """The key of the series of a family; `stored_key.read_key` undoes it, whatever the family's name holds.

        Only the last blank becomes a colon. An id has no colon, so the last one always parts it from the name.
        """
        name, _, schema_id = index_field.rpartition(" ")
        return f"{self._prefix}:series:{name}:{schema_id}"
