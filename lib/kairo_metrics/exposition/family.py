"""A family ready to be printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..store.schema import Schema

__all__ = ["Family"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family of a scrape, merged and checked.

    Args:
        schema: name, type, help and so on.
        rows: label text -> the packed line's numbers, both as they are stored.
    """

    schema: Schema
    rows: Mapping[bytes, bytes]

    def answers_to(self, names: frozenset[str]) -> bool:
        """Tell whether a `name[]` parameter means this family, by its own name or a sample's."""
        name = self.schema.name
        return not names.isdisjoint({name, *(f"{name}_{suffix}" for suffix in ("total", "bucket", "count", "sum"))})
