"""A family ready to be printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..store.schema import Schema

__all__ = ["Family"]

_SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "histogram": ("", "_bucket", "_count", "_sum", "_created"),
    "info": ("", "_info"),
    "stateset": ("",),
    "summary": ("", "_count", "_sum", "_created"),
}


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family of a scrape, merged and checked.

    Args:
        schema: name, type, help and so on.
        rows: label text -> the packed line's numbers, both as they are stored.
    """

    schema: Schema
    rows: Mapping[bytes, bytes]

    @property
    def sample_names(self) -> frozenset[str]:
        """The names under which its samples may stand, and which no other family of a page may use."""
        return frozenset(f"{self.schema.name}{suffix}" for suffix in _SUFFIXES[self.schema.type])

    def answers_to(self, names: frozenset[str]) -> bool:
        """Tell whether a `name[]` parameter means this family, by its own name or a sample's."""
        return not names.isdisjoint(self.sample_names)
