"""A family ready to be printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.schema import Schema

__all__ = ["Exemplar", "Extras", "Family", "sample_names_of"]

# By type, the ends of the names of its samples. Gauge histograms and unknowns come from collectors alone.
SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "exemplars": (),  # they are printed with the samples of another family
    "gauge": ("",),
    "gaugehistogram": ("", "_bucket", "_gcount", "_gsum"),
    "histogram": ("", "_bucket", "_count", "_sum", "_created"),
    "info": ("", "_info"),
    "native": ("", "_bucket", "_count", "_sum", "_created"),
    "stateset": ("",),
    "summary": ("", "_count", "_sum", "_created"),
    "unknown": ("",),
}


@dataclass(frozen=True, slots=True)
class Extras:
    """What a format prints beyond the numbers, which has to be read for it.

    Args:
        exemplars: the newest exemplar of each counter and bucket.
        created: when each series began.
        native: native histograms; for other formats they are made classic.
        began: when each stored series began, for those who show a zero before its first value.
        strict: the rules of OpenMetrics: a family reserves every name that its type may use.
        escaping: the scheme for names beyond the classic letters. It may turn two names into one.
    """

    exemplars: bool = False
    created: bool = False
    native: bool = False
    began: bool = False
    strict: bool = False
    escaping: str = "underscores"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation or increment, as an example of those that a number counts.

    Args:
        labels: its label text.
        value: the number that was observed or added.
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
        series: label text -> the numbers of the packed line.
        exemplars: label text -> the number's place in the line, from 1 -> its newest exemplar.
        created: label text -> when the series began, in ms since 1970.
        set_at: label text -> when a gauge or an enum was set, in ms since 1970; filled only if series may coincide.
        mixed: whether the series have different label names. An empty label may then stand beside an absent one.
        escaping: the scheme for the family's name. The names of labels are escaped already.
        began: label text -> when a series of the store began at zero, in ms since 1970 by the page's clock; 0 if it may
            be older than the store says. Filled only if asked for, and never for what a collector gives.
    """

    schema: Schema
    series: Mapping[bytes, bytes]
    exemplars: Mapping[bytes, Mapping[int, Exemplar]] = field(default_factory=dict)
    created: Mapping[bytes, int] = field(default_factory=dict)
    set_at: Mapping[bytes, int] = field(default_factory=dict)
    mixed: bool = False
    escaping: str = "allow-utf-8"
    began: Mapping[bytes, int] = field(default_factory=dict)

    @property
    def sample_names(self) -> frozenset[str]:
        """See `sample_names_of`."""
        return sample_names_of(self.schema)


def sample_names_of(schema: Schema) -> frozenset[str]:
    """Return the names that the samples of a family may have, as they are declared.

    Example:
        >>> sorted(sample_names_of(Schema("jobs", "counter")))
        ['jobs', 'jobs_created', 'jobs_total']
    """
    return frozenset(f"{schema.name}{suffix}" for suffix in SUFFIXES[schema.type])
