"""Chunks of stored series, decoded: each line is checked, and its times are cut off.

One regular expression checks all lines of a chunk at once. If it does not match, each line is checked by itself, which
finds the damaged ones.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from itertools import groupby

from ..model.encoding import TIMES_WIDTH, SeriesNumbers, label_name
from ..model.labels import LABEL_VALUE, LABELS_PATTERN
from ..model.schema import ENDED, INSTANCE_LABEL, Schema

__all__ = ["LONGEST_LINE", "LONGEST_TEXT", "SeriesDecoder"]

_FINITE = rb"[0-9]{1,24}+(?:\.[0-9]{1,24}+)?+(?:e[+-]?[0-9]{1,3}+)?+"
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
# The exponents of numbers that may be too large for a float. Prometheus refuses a page with such a number.
_LARGE = re.compile(rb"e\+?(?:29[1-9]|[3-9][0-9]{2})")
# Longer ones are damaged, and are not parsed: a label text of 50 MB would take gigabytes of memory in some formats.
LONGEST_TEXT, LONGEST_LINE = 16_384, 65_536
_FEW_NUMBERS = 1_000
_TIMES = rb" [0-9]{13} [0-9]{13}\n"
_RESIDUAL = f'{INSTANCE_LABEL}="{ENDED}"'.encode()


class SeriesDecoder:
    """Takes the good series out of a family's chunks, and counts the damaged ones.

    Args:
        schema: the form that the lines must have.
        oldest_ms: a series that was last written before this time is stale, and left out.
        lease_began_ms: an instance that has not renewed its values since this time has ended. They go to `ended`.
        keeps_created: whether to fill `created` with the time when each series began, in ms since 1970.
    """

    def __init__(self, schema: Schema, oldest_ms: int, lease_began_ms: int = 0, *, keeps_created: bool = False) -> None:
        self.series: SeriesNumbers = {}
        self.created: dict[bytes, int] = {}
        self.ended: SeriesNumbers = {}
        self.stale: list[bytes] = []
        self.damaged = 0
        self._schema = schema
        self._keeps_created = keeps_created
        self._may_be_long = schema.rule in {"native", "word"} or len(schema.shape) > _FEW_NUMBERS
        self._text, self._line = _patterns(schema)
        self._oldest = b"%013d" % max(0, oldest_ms)
        self._lease_began = b"%013d" % max(0, lease_began_ms)

    def add_chunk(self, items: list[bytes]) -> None:
        """Sort one chunk: [label text, packed line, label text, packed line, ...]."""
        texts, lines = items[::2], items[1::2]
        # The lines of most types can't be long: each number has at most some 50 digits.
        if max(map(len, texts), default=0) > LONGEST_TEXT or (
            self._may_be_long and max(map(len, lines), default=0) > LONGEST_LINE
        ):
            found = len(texts)
            texts, lines = _short(texts, lines)
            self.damaged += found - len(texts)
        if not (_all_match(self._text, texts) and self._all_good(lines)):
            found = len(texts)
            texts, lines = self._undamaged(texts, lines)
            self.damaged += found - len(texts)
        oldest = self._oldest
        # Times have 13 digits, so their texts are in the same order as their numbers.
        fresh = {text: line[:-TIMES_WIDTH] for text, line in zip(texts, lines, strict=True) if line[-13:] >= oldest}
        if len(fresh) < len(texts):
            self.stale += [text for text, line in zip(texts, lines, strict=True) if line[-13:] < oldest]
        if self._keeps_created:
            self.created.update(
                {text: int(line[-27:-14]) for text, line in zip(texts, lines, strict=True) if text in fresh}
            )
        if self._schema.per_instance:
            for text, line in zip(texts, lines, strict=True):
                if line[-13:] < self._lease_began and text in fresh and _RESIDUAL not in text:
                    self.ended[text] = fresh.pop(text)
        self.series.update(fresh)

    def _undamaged(self, texts: list[bytes], lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        good = [
            (text, line)
            for text, line in zip(texts, lines, strict=True)
            # Most damaged lines are found by the cheaper of both checks.
            if self._line.fullmatch(line + b"\n") and _all_match(self._text, [text]) and self._all_good([line])
        ]
        return [text for text, _ in good], [line for _, line in good]

    def _all_good(self, lines: list[bytes]) -> bool:
        if not _all_match(self._line, lines):
            return False
        if self._schema.rule == "native":
            from ..model.native_counts import NativeCounts  # most pages have no native histogram

            if not all(NativeCounts.parse(line[:-TIMES_WIDTH].decode().split()).adds_up for line in lines):
                return False
        elif self._schema.rule == "word":
            return True
        return not (_LARGE.search(b"\n".join(lines)) and any(map(_overflows, lines)))


def _short(texts: list[bytes], lines: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    pairs = zip(texts, lines, strict=True)
    short = [(text, line) for text, line in pairs if len(text) <= LONGEST_TEXT and len(line) <= LONGEST_LINE]
    return [text for text, _ in short], [line for _, line in short]


def _overflows(line: bytes) -> bool:
    return any(math.isinf(float(word)) for word in line.split() if _LARGE.search(word))


@lru_cache(maxsize=1024)
def _patterns(schema: Schema) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Compile the patterns of a run of label texts and of a run of packed lines."""
    if schema.type == "exemplars":
        text = rb"[0-9]{1,6} (?:" + LABELS_PATTERN + rb")?"
    else:
        text = b",".join([re.escape(label_name(name).encode()) + b"=" + LABEL_VALUE for name in schema.labelnames])
    runs = [(_NUMBERS[letter], len(list(run))) for letter, run in groupby(schema.shape)]
    numbers = rb" ".join(number + rb"(?: %b){%d}" % (number, length - 1) for number, length in runs)
    return re.compile(rb"(?:" + text + rb"\n)*+"), re.compile(rb"(?:" + numbers + _TIMES + rb")*+")


def _all_match(pattern: re.Pattern[bytes], lines: list[bytes]) -> bool:
    if b"\n" in b"".join(lines) or pattern.fullmatch(run := b"\n".join([*lines, b""])) is None:
        return False
    try:
        run.decode()
    except UnicodeDecodeError:
        return False
    return True
