"""A family ready to be printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..store.schema import Schema

__all__ = ["Exemplar", "Extras", "Family"]

_SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "exemplars": (),  # they stand in the samples of what they belong to
    "gauge": ("",),
    "histogram": ("", "_bucket", "_count", "_sum", "_created"),
    "info": ("", "_info"),
    "native": ("", "_bucket", "_count", "_sum", "_created"),
    "stateset": ("",),
    "summary": ("", "_count", "_sum", "_created"),
}


@dataclass(frozen=True, slots=True)
class Extras:
    """What a format can say beyond the numbers, and what has to be read for it.

    Args:
        exemplars: the newest exemplar of each counter and bucket.
        created: when each series began.
        native: native histograms; for other formats they are made classic.
        escaping: what becomes of names beyond the classic letters: two may be written as one.
    """

    exemplars: bool = False
    created: bool = False
    native: bool = False
    escaping: str = "underscores"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation that stands for others.

    Args:
        labels: its label text.
        value: what was observed or added.
        at_ms: when, in ms since 1970.
    """

    labels: bytes
    value: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family of a scrape, merged and checked.

    Args:
        schema: name, type, help and so on.
        rows: label text -> the packed line's numbers, both as they are stored.
        exemplars: label text -> the number's place in the line, from 1 -> its newest exemplar.
        created: label text -> when the series began, in ms since 1970.
        escaping: what becomes of the name's letters beyond the classic ones; those of labels are escaped already.
    """

    schema: Schema
    rows: Mapping[bytes, bytes]
    exemplars: Mapping[bytes, Mapping[int, Exemplar]] = field(default_factory=dict)
    created: Mapping[bytes, int] = field(default_factory=dict)
    escaping: str = "allow-utf-8"

    @property
    def sample_names(self) -> frozenset[str]:
        """The names under which its samples may stand, and which no other family of a page may use."""
        return frozenset(f"{self.schema.name}{suffix}" for suffix in _SUFFIXES[self.schema.type])

    def answers_to(self, names: frozenset[str]) -> bool:
        """Tell whether a `name[]` parameter means this family, by its own name or a sample's."""
        return not names.isdisjoint(self.sample_names)
