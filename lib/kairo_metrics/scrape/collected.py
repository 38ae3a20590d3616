"""The families that a collector of the program returns, as those of a page; what no page can hold is counted.

Source: OpenMetrics 1.0, section "Metric Types", says which values each type may have.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client.utils import floatToGoString

from ..exposition.family import SUFFIXES, Exemplar, Family
from ..model.encoding import SeriesNumbers, label_text, number_text
from ..model.schema import Schema
from ..model.schema_validation import flaw_of
from .collected_values import CREATED, exemplar_places, has_valid_values, words_of

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.samples import Sample

__all__ = ["Collected", "families_of"]

# The label with the limit of a bucket or a quantile, and the end of the name of such samples.
_LIMITS = {"histogram": ("le", "_bucket"), "gaugehistogram": ("le", "_bucket"), "summary": ("quantile", "")}
_WITH_EXEMPLARS = frozenset({("counter", "_total"), ("histogram", "_bucket"), ("gaugehistogram", "_bucket")})
_WITHOUT_UNIT = frozenset({"info", "stateset"})


@dataclass(frozen=True, slots=True)
class Collected:
    """What one collector gives to a page.

    Args:
        families: those with samples.
        left_out: how many samples, or parts of them, the page does not show, by the reason: `invalid`, `duplicate`,
            `timestamp` (it shows the sample without its own time), `exemplar`.
    """

    families: tuple[Family, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)


def families_of(metrics: Iterable[Metric], at_ms: int) -> Collected:
    """Return the families of a page for those that a collector returned.

    Args:
        metrics: of prometheus_client. Those with one name and one type become one family.
        at_ms: the time of exemplars that have none, in ms since 1970.

    Example:
        >>> from prometheus_client.core import CounterMetricFamily
        >>> families_of([CounterMetricFamily("jobs", "Jobs.", 3)], 0).families[0].series
        {b'': b'3'}
    """
    drafts: dict[tuple[str, str], _Draft] = {}
    left_out: Counter[str] = Counter()
    for metric in metrics:
        typ = str(metric.type)
        name = str(metric.name).removesuffix("_total") if typ == "counter" else str(metric.name)
        if typ not in SUFFIXES or typ in {"exemplars", "native"} or flaw_of(Schema(name, "counter")):
            left_out["invalid"] += len(metric.samples)
            continue
        draft = drafts.setdefault((name, typ), _Draft(name, typ, str(metric.documentation), str(metric.unit or "")))
        for sample in metric.samples:
            draft.add(sample, at_ms, left_out)
    families = [draft.family(left_out) for draft in drafts.values()]
    return Collected(tuple(family for family in families if family.series), left_out)


@dataclass(slots=True)
class _Draft:
    """A family whose samples are read one by one.

    Args:
        name: the family's; a counter's is without `_total`.
        type: its type.
        help: its help text.
        unit: its unit.
        values: label text -> the end of a sample's name, and the limit of a bucket or quantile -> value.
        exemplars: label text -> the limit of the bucket, or None for a counter -> exemplar.
    """

    name: str
    type: str
    help: str
    unit: str
    values: dict[bytes, dict[tuple[str, float | None], float]] = field(default_factory=dict)
    exemplars: dict[bytes, dict[float | None, Exemplar]] = field(default_factory=dict)

    def add(self, sample: Sample, at_ms: int, left_out: Counter[str]) -> None:
        """Add a sample, or count why it is left out."""
        try:
            suffix, limit, labels = self._place_of(sample)
            value = float(sample.value)
        except (KeyError, OverflowError, TypeError, ValueError):
            left_out["invalid"] += 1
            return
        text = _text_of(labels)
        values = self.values.setdefault(text, {})
        if (suffix, limit) in values:
            left_out["duplicate"] += 1
            return
        values[suffix, limit] = value
        if sample.timestamp is not None:
            left_out["timestamp"] += 1
        if sample.exemplar is not None:
            try:
                self.exemplars.setdefault(text, {})[limit] = self._exemplar_of(sample, suffix, at_ms)
            except (OverflowError, TypeError, ValueError):
                left_out["exemplar"] += 1

    def _place_of(self, sample: Sample) -> tuple[str, float | None, dict[str, str]]:
        """Return the end of the sample's name, its limit, and its other labels.

        Raises:
            KeyError: it has no label with its limit.
            ValueError: it has a name or a label that no sample of this family may have.
        """
        labels = {str(name): str(value) for name, value in dict(sample.labels or {}).items()}
        suffix = sample.name.removeprefix(self.name)
        label, with_limit = _LIMITS.get(self.type, ("", None))
        limit = float(labels.pop(label)) if suffix == with_limit else None
        is_known = sample.name == f"{self.name}{suffix}" and suffix in SUFFIXES[self.type]
        has_state = self.type != "stateset" or self.name in labels
        if not (is_known and has_state and _are_label_names(tuple(labels))) or label in labels:
            raise ValueError(f"{sample.name} is no sample of the {self.type} {self.name}")
        return suffix, limit, labels

    def _exemplar_of(self, sample: Sample, suffix: str, at_ms: int) -> Exemplar:
        """Return the exemplar of a sample.

        Raises:
            ValueError: no such sample has an exemplar, or it has labels that no exemplar may have.
        """
        exemplar = sample.exemplar
        labels = {str(name): str(value) for name, value in exemplar.labels.items()} if exemplar else {}
        if exemplar is None or (self.type, suffix) not in _WITH_EXEMPLARS or not _are_label_names(tuple(labels)):
            raise ValueError(f"no exemplar of {sample.name}")
        if exemplar.timestamp is not None:
            at_ms = int(float(exemplar.timestamp) * 1000)
        return Exemplar(_text_of(labels), number_text(float(exemplar.value)).encode(), at_ms)

    def family(self, left_out: Counter[str]) -> Family:
        """Return the family of the samples so far; a series whose values do not go together is left out and counted."""
        values = {text: found for text, found in self.values.items() if has_valid_values(self.type, found)}
        if invalid := sum(len(found) for text, found in self.values.items() if text not in values):
            left_out["invalid"] += invalid
        limits = sorted({limit for found in values.values() for _, limit in found if limit is not None})
        unit = "" if self.type in _WITHOUT_UNIT or flaw_of(Schema(self.name, "counter", unit=self.unit)) else self.unit
        bounds = tuple(map(floatToGoString, limits))
        schema = Schema(self.name, self.type, bounds=bounds, help=self.help, unit=unit)
        series: SeriesNumbers = {
            text: " ".join(words_of(self.type, found, limits)).encode() for text, found in values.items()
        }
        return Family(
            schema,
            series,
            {text: exemplar_places(found, limits) for text, found in self.exemplars.items() if text in values},
            {
                text: int(found[CREATED] * 1000)
                for text, found in values.items()
                if math.isfinite(found.get(CREATED, math.nan))
            },
            # Its series may have any labels.
            mixed=True,
        )


def _text_of(labels: dict[str, str]) -> bytes:
    return label_text(sorted(labels), [labels[name] for name in sorted(labels)]).encode()


@lru_cache(maxsize=1024)
def _are_label_names(names: tuple[str, ...]) -> bool:
    return not flaw_of(Schema("x", "counter", names))
