"""Chunks of stored series, decoded: each line is checked, and its times are cut off.

One regular expression checks all lines of a chunk at once, and their texts if there are new ones among them. If it does
not match, each line is checked by itself, which finds the damaged ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from ..model.encoding import TIMES_WIDTH, SeriesNumbers, label_name
from ..model.labels import LABEL_VALUE, LABELS_PATTERN
from ..model.schema import ENDED, INSTANCE_LABEL, Schema

__all__ = ["LONGEST_LINE", "LONGEST_TEXT", "SeriesDecoder"]

_EXPONENT = rb"(?:e[+-]?[0-9]{1,3}+)?+"
# Those with which no number is too large for a float.
_FINITE_EXPONENT = rb"(?:e(?:-[0-9]{1,3}+|[+]?[01]?[0-9]{1,2}+))?+"
_FINITE = rb"[0-9]{1,24}+(?:\.[0-9]{1,24}+)?+" + _EXPONENT
_SPARSE = rb"-?[0-9]{1,6}+:[0-9]{1,15}+"
# By letter of a shape. A number with more digits can't have been counted, and some readers could not hold it.
_NUMBERS = {
    "a": rb"(?:-?" + _FINITE + rb"|[+-]Inf|NaN)",
    "b": rb"(?:-|" + _SPARSE + rb"(?:," + _SPARSE + rb")*+)",
    "f": rb"-?" + _FINITE,
    "g": rb"(?:" + _FINITE + rb"|\+Inf)",
    "i": rb"-?[0-9]{1,15}+",
    "s": rb"(?:-[1-4]|[0-8])",
    "w": rb"[0-9]{1,15}+",
    "x": rb"=[!-~]*+",
    "z": _FINITE,
}
# Longer ones are damaged, and are not parsed: a label text of 50 MB would take gigabytes of memory in some formats.
LONGEST_TEXT, LONGEST_LINE = 16_384, 65_536
_FEW_NUMBERS = 1_000
_TIMES = rb" [0-9]{13}+ [0-9]{13}+"
_RESIDUAL = f'{INSTANCE_LABEL}="{ENDED}"'.encode()
# Of a packed line, the time of its last update, and its numbers.
_TOUCHED, _NUMBERS_OF = itemgetter(slice(-13, None)), itemgetter(slice(None, -TIMES_WIDTH))

# The numbers of a series of an earlier page until it is read; no good line is empty.
_UNREAD = b""


class _Form(NamedTuple):
    """Patterns of a label text and of a packed line, and of runs whose numbers are certainly not too large.

    Args:
        text: a label text.
        line: a packed line.
        rows: any number of rows, each a text and its line.
        lines: any number of lines alone.
    """

    text: re.Pattern[bytes]
    line: re.Pattern[bytes]
    rows: re.Pattern[bytes]
    lines: re.Pattern[bytes]


class SeriesDecoder:
    """Takes the good series out of a family's chunks, and counts the damaged ones.

    Args:
        schema: the form that the lines must have.
        oldest_ms: a series that was last written before this time is stale, and left out.
        lease_began_ms: an instance that has not renewed its values since this time has ended. They go to `ended`.
        keeps_created: whether to fill `created` with the time when each series began, in ms since 1970.
        shown: label texts of an earlier page. Those that are still there come first, in this order.
    """

    def __init__(
        self,
        schema: Schema,
        oldest_ms: int,
        lease_began_ms: int = 0,
        *,
        keeps_created: bool = False,
        shown: Iterable[bytes] = (),
    ) -> None:
        self._series: SeriesNumbers = dict.fromkeys(shown, _UNREAD)
        self._may_lack_shown = bool(self._series)
        self.created: dict[bytes, int] = {}
        self.ended: SeriesNumbers = {}
        self.stale: list[bytes] = []
        self.damaged = 0
        self._schema = schema
        self._keeps_created = keeps_created
        self._may_be_long = schema.rule in {"native", "word"} or len(schema.shape) > _FEW_NUMBERS
        self._form = _form_of(schema)
        self._oldest = b"%013d" % max(0, oldest_ms)
        self._lease_began = b"%013d" % max(0, lease_began_ms)

    @property
    def series(self) -> SeriesNumbers:
        """Label text -> the numbers of the packed line, after the last chunk."""
        if self._may_lack_shown and not all(self._series.values()):
            self._series = {text: numbers for text, numbers in self._series.items() if numbers != _UNREAD}
        self._may_lack_shown = False
        return self._series

    def add_chunk(self, items: list[bytes]) -> None:
        """Sort one chunk: [label text, packed line, label text, packed line, ...]."""
        texts, lines = items[::2], items[1::2]
        if not self._are_good(items, texts, lines):
            found = len(texts)
            good = [row for row in zip(texts, lines, strict=True) if self._is_good(*row)]
            texts, lines = [text for text, _ in good], [line for _, line in good]
            self.damaged += found - len(texts)
        # Times have 13 digits, so their texts are in the same order as their numbers.
        if texts and min(map(_TOUCHED, lines)) < self._oldest:
            self.stale += [text for text, line in zip(texts, lines, strict=True) if line[-13:] < self._oldest]
            fresh = [(text, line) for text, line in zip(texts, lines, strict=True) if line[-13:] >= self._oldest]
            texts, lines = [text for text, _ in fresh], [line for _, line in fresh]
        if self._keeps_created:
            self.created.update({text: int(line[-27:-14]) for text, line in zip(texts, lines, strict=True)})
        if self._schema.per_instance:
            for text, line in zip(texts, lines, strict=True):
                ended = line[-13:] < self._lease_began and _RESIDUAL not in text
                (self.ended if ended else self._series)[text] = line[:-TIMES_WIDTH]
        else:
            self._series.update(zip(texts, map(_NUMBERS_OF, lines), strict=True))

    def _are_good(self, items: list[bytes], texts: list[bytes], lines: list[bytes]) -> bool:
        """Tell whether all are certainly good; if not, each may still be."""
        # Those that this page or the one before has taken are good. Checking texts takes longer than checking lines.
        is_known = self._series.keys() >= set(texts)
        checked, pattern = (lines, self._form.lines) if is_known else (items, self._form.rows)
        run = b"\n".join([*checked, b""])
        return (
            (is_known or max(map(len, texts), default=0) <= LONGEST_TEXT)
            and (not self._may_be_long or max(map(len, lines), default=0) <= LONGEST_LINE)
            and run.count(b"\n") == len(checked)
            and pattern.fullmatch(run) is not None
            and _is_utf_8(run)
            and (self._schema.rule != "native" or all(map(_adds_up, lines)))
        )

    def _is_good(self, text: bytes, line: bytes) -> bool:
        return (
            len(text) <= LONGEST_TEXT
            and len(line) <= LONGEST_LINE
            and self._form.line.fullmatch(line) is not None
            and self._form.text.fullmatch(text) is not None
            and _is_utf_8(text)
            and (self._schema.rule != "native" or _adds_up(line))
            and (self._schema.rule == "word" or not _overflows(line))
        )


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _adds_up(line: bytes) -> bool:
    from ..model.native_counts import NativeCounts  # most pages have no native histogram

    return NativeCounts.parse(line[:-TIMES_WIDTH].decode().split()).adds_up


def _overflows(line: bytes) -> bool:
    """Tell whether a number is too large for a float. Prometheus refuses a page with such a number."""
    return any(math.isinf(float(word)) for word in line.split() if b"e" in word)


@lru_cache(maxsize=1024)
def _form_of(schema: Schema) -> _Form:
    if schema.type == "exemplars":
        text = rb"[0-9]{1,6} (?:" + LABELS_PATTERN + rb")?"
    else:
        text = b",".join([re.escape(label_name(name).encode()) + b"=" + LABEL_VALUE for name in schema.labelnames])
    runs = [(_NUMBERS[letter], len(list(run))) for letter, run in groupby(schema.shape)]
    numbers = rb" ".join(number + rb"(?: %b){%d}" % (number, length - 1) * (length > 1) for number, length in runs)
    line = numbers + _TIMES
    finite = line.replace(_EXPONENT, _FINITE_EXPONENT) + rb"\n"
    rows, lines = rb"(?:" + text + rb"\n" + finite + rb")*+", rb"(?:" + finite + rb")*+"
    return _Form(*map(re.compile, (text, line, rows, lines)))
