"""Sample lines, many at a time.

Labels and numbers are stored as they are printed: no label is parsed or escaped again, and no number is converted to a
float. A histogram has one template for all its lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, islice

from ..model.schema import Schema
from .family import Exemplar, Family
from .names import VALUE_SUFFIXES, bare, name_of, opened

__all__ = ["created_lines", "gauge_totals", "sample_lines"]

_Rows = Iterable[tuple[bytes, bytes]]

# Series per piece of the body: large enough to be cheap, small enough not to block the event loop.
_ROWS_PER_PIECE = 5_000
# The place of the label text in a template. No label text contains it.
_LABELS = b"\x00"
# The first letter of a sum that OpenMetrics forbids: below zero, or NaN.
_NO_SUM = (b"-", b"N")
# The place, in the packed line, of the first number that is printed: a counter's value, a histogram's first bucket.
_FIRST_PRINTED = {"counter": 1, "gaugehistogram": 2, "histogram": 2}


def sample_lines(family: Family, *, strict: bool) -> Iterator[bytes]:
    """Print a family's samples, in pieces of some thousand series.

    Args:
        family: the family to print.
        strict: whether to follow OpenMetrics 1.0: with exemplars and created times if the family has them, and without
            `_sum` and `_count` where the sum is forbidden: with a negative bound, or if the sum is negative or NaN.
    """
    if strict and (family.exemplars or family.created):
        for row in family.series.items():
            yield _with_extras(family, row)
        return
    rows = zip(family.series.keys(), family.series.values(), strict=True)  # unlike `items`, it makes one tuple in all
    for _ in range(0, len(family.series), _ROWS_PER_PIECE):
        yield _printed(family, islice(rows, _ROWS_PER_PIECE), strict=strict)


def _printed(family: Family, rows: _Rows, *, strict: bool) -> bytes:
    match family.schema.type:
        case "histogram":
            return _histograms(family, rows, strict=strict)
        case "gaugehistogram":
            return _gauge_histograms(family, rows, strict=strict)
        case "summary":
            return _summaries(family, rows, strict=strict)
    return _plain(family, VALUE_SUFFIXES.get(family.schema.type, ""), rows)


def _with_extras(family: Family, row: tuple[bytes, bytes]) -> bytes:
    """Print one series with its exemplars behind their numbers, and its created time."""
    text, _ = row
    lines = _printed(family, [row], strict=True).split(b"\n")
    for place, exemplar in family.exemplars.get(text, {}).items():
        lines[place - _FIRST_PRINTED[family.schema.type]] += _marked(exemplar)
    return b"\n".join(lines) + _began(family, text)


def created_lines(family: Family) -> Iterator[bytes]:
    """Print the created time of each series, in pieces."""
    rows = iter(family.created)
    while piece := list(islice(rows, _ROWS_PER_PIECE)):
        yield b"".join([_began(family, text) for text in piece])


def _began(family: Family, text: bytes) -> bytes:
    if text not in family.created:
        return b""
    name = name_of(family, "_created")
    start = opened(name) + text + b"} " if text else bare(name) + b" "
    return start + _seconds(family.created[text]) + b"\n"


def _marked(exemplar: Exemplar) -> bytes:
    return b" # {%b} %b %b" % (exemplar.labels, exemplar.value, _seconds(exemplar.at_ms))


def _seconds(at_ms: int) -> bytes:
    return b"%d.%03d" % divmod(at_ms, 1000)


def _plain(family: Family, suffix: str, rows: _Rows) -> bytes:
    name = name_of(family, suffix)
    start = opened(name)
    if b"" in family.series:  # a family with labels may have a series from before it had any
        start_bare = bare(name)
        return b"".join(
            [(start + text + b"} " if text else start_bare + b" ") + numbers + b"\n" for text, numbers in rows]
        )
    return start + (b"\n" + start).join(map(b"} ".join, rows)) + b"\n"


def _histograms(family: Family, rows: _Rows, *, strict: bool) -> bytes:
    bounds = family.schema.bounds
    negative = float(bounds[0]) < 0
    templates = [_histogram_template(family.schema, family.escaping, unlabelled=bare_row) for bare_row in (False, True)]
    lines = []
    for text, numbers in rows:
        buckets, count, total = templates[not text]
        observed, *counts = numbers.split()
        cumulative = tuple(accumulate(map(int, counts)))
        if strict and (negative or observed.startswith(_NO_SUM)):
            printed = buckets % cumulative
        elif negative:
            # As prometheus_client does: a sum of negative observations can fall, so it is no counter.
            printed = (buckets + count) % (*cumulative, cumulative[-1])
        else:
            printed = (buckets + count + total) % (*cumulative, cumulative[-1], observed)
        lines.append(printed.replace(_LABELS, text))
    return b"".join(lines)


def _gauge_histograms(family: Family, rows: _Rows, *, strict: bool) -> bytes:
    """Print the buckets of gauge histograms, in OpenMetrics also their counts and sums."""
    negative = float(family.schema.bounds[0]) < 0
    lines = []
    for text, numbers in rows:
        buckets, count, total = _histogram_template(family.schema, family.escaping, unlabelled=not text)
        observed, *counts = numbers.split()
        cumulative = tuple(accumulate(map(int, counts)))
        printed = buckets % cumulative
        if strict and not (observed == b"NaN" or (observed.startswith(b"-") and not negative)):
            printed += (count + total) % (cumulative[-1], observed)
        lines.append(printed.replace(_LABELS, text))
    return b"".join(lines)


def gauge_totals(family: Family) -> Iterator[tuple[str, bytes]]:
    """Print the counts and the sums of gauge histograms, which are gauges of their own in the text format.

    Returns for both the end of their name, and their lines.
    """
    for place, suffix in enumerate(("_gcount", "_gsum")):
        lines = []
        for text, numbers in family.series.items():
            templates = _histogram_template(family.schema, family.escaping, unlabelled=not text)
            observed, *counts = numbers.split()
            value = (sum(map(int, counts)), observed)[place]
            lines.append((templates[1 + place] % value).replace(_LABELS, text))
        yield suffix, b"".join(lines)


def _summaries(family: Family, rows: _Rows, *, strict: bool) -> bytes:
    lines = []
    for text, numbers in rows:
        counted, observed, *at_quantiles = numbers.split()
        quantiles, count, total = _summary_template(family.schema, family.escaping, unlabelled=not text)
        printed = quantiles % tuple(at_quantiles)
        if counted != b"NaN":  # a collector may give quantiles alone
            printed += count % counted
            printed += b"" if strict and observed.startswith(_NO_SUM) else total % observed
        lines.append(printed.replace(_LABELS, text))
    return b"".join(lines)


@lru_cache(maxsize=256)
def _histogram_template(schema: Schema, escaping: str, *, unlabelled: bool) -> tuple[bytes, bytes, bytes]:
    """Build the templates of a series' buckets, count and sum; an `unlabelled` series has no labels."""
    family = Family(schema, {}, escaping=escaping)
    start = _template_text(opened(name_of(family, "_bucket")))
    labels = b"" if unlabelled else _LABELS + b","
    buckets = [b'%b%ble="%b"} %%d\n' % (start, labels, bound.encode()) for bound in schema.bounds]
    suffixes = ("_gcount", "_gsum") if schema.type == "gaugehistogram" else ("_count", "_sum")
    count, total = (_start(name_of(family, suffix), unlabelled=unlabelled) for suffix in suffixes)
    return b"".join(buckets), count + b" %d\n", total + b" %b\n"


@lru_cache(maxsize=256)
def _summary_template(schema: Schema, escaping: str, *, unlabelled: bool) -> tuple[bytes, bytes, bytes]:
    family = Family(schema, {}, escaping=escaping)
    start = _template_text(opened(name_of(family)))
    labels = b"" if unlabelled else _LABELS + b","
    quantiles = [b'%b%bquantile="%b"} %%b\n' % (start, labels, quantile.encode()) for quantile in schema.bounds]
    count, total = (_start(name_of(family, suffix), unlabelled=unlabelled) for suffix in ("_count", "_sum"))
    return b"".join(quantiles), count + b" %b\n", total + b" %b\n"


def _start(name: str, *, unlabelled: bool) -> bytes:
    return _template_text(bare(name) if unlabelled else opened(name) + _LABELS + b"}")


def _template_text(text: bytes) -> bytes:
    """Escape the percent signs of a template. The label text is put in later, so its own need no escape."""
    return text.replace(b"%", b"%%")
