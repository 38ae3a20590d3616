"""Stored exemplars, read."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from ..exposition.family import Exemplar
from ..model.encoding import SeriesNumbers, info_text
from ..model.labels import LABELS_PATTERN, label_pairs
from ..model.merging import merge_series
from ..model.schema import Schema

__all__ = ["read_exemplars"]

_WORD = re.compile(rb"=(-?[0-9]{1,24}(?:\.[0-9]{1,24})?(?:e[+-]?[0-9]{1,3})?|[+-]Inf|NaN)(=.*)")
# OpenMetrics 1.0, section "Exemplars": names and values together.
_LONGEST = 128
_LABELS = re.compile(LABELS_PATTERN)


def read_exemplars(schema: Schema, parts: Iterable[SeriesNumbers]) -> Mapping[bytes, Mapping[int, Exemplar]]:
    """Return the newest exemplar of each number: label text -> its place in the line -> exemplar.

    Args:
        schema: the schema of the exemplars.
        parts: their series from each shard. An exemplar that can't be read is left out.

    Example:
        >>> series = {b'2 queue="a"': b'=0.25=trace_id="4bf9" 1764000000123'}
        >>> read_exemplars(Schema("wait", "exemplars"), [series])
        {b'queue="a"': {2: Exemplar(labels=b'trace_id="4bf9"', value=b'0.25', at_ms=1764000000123)}}
    """
    found: defaultdict[bytes, dict[int, Exemplar]] = defaultdict(dict)
    for key, line in merge_series(schema, parts).items():
        place, _, text = key.partition(b" ")
        word, at_ms = line.split()
        parted = _WORD.fullmatch(word)
        labels = info_text(parted[2]) if parted else b""
        if parted and _are_printable(labels) and _is_number(parted[1]) and int(at_ms) >= 0:
            found[text][int(place)] = Exemplar(labels, parted[1], int(at_ms))
    return dict(found)


def _are_printable(labels: bytes) -> bool:
    if not _LABELS.fullmatch(labels):
        return False
    try:
        pairs = label_pairs(labels.decode())
    except UnicodeDecodeError:
        return False
    names = [name for name, _ in pairs]
    return len(set(names)) == len(names) and "" not in names and sum(len(n) + len(v) for n, v in pairs) <= _LONGEST


def _is_number(text: bytes) -> bool:
    """Tell whether a float holds the number. Scrapers refuse a page with a larger one."""
    return text[-3:] == b"Inf" or not math.isinf(float(text))
