"""Sample lines, many at a time.

A line is put together from bytes that are stored ready to print: no label is parsed or escaped again,
and no number goes through a float. A histogram has one template for all its lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, islice

from ..store.schema import Schema
from .family import Family

__all__ = ["sample_lines"]

# Rows per piece of the body: large enough to be cheap, small enough not to hold up the event loop.
_ROWS_PER_PIECE = 5_000
# Stands for the label text in a template; no label text holds it.
_LABELS = b"\x00"
# How a sum begins that OpenMetrics does not take: below zero, or not a number.
_NO_SUM = (b"-", b"N")


def sample_lines(family: Family, *, strict: bool) -> Iterator[bytes]:
    """Print a family's samples, in pieces of some thousand rows.

    Args:
        family: what to print.
        strict: leave out `_sum` and `_count` where OpenMetrics 1.0 forbids the sum: below a negative
            bound, and when it is negative or no number.
    """
    rows = iter(family.rows.items())
    while piece := list(islice(rows, _ROWS_PER_PIECE)):
        match family.schema.type:
            case "histogram":
                yield _histograms(family, piece, strict=strict)
            case "summary":
                yield _summaries(family, piece, strict=strict)
            case "counter":
                yield _plain(family, b"_total", piece)
            case "info":
                yield _plain(family, b"_info", piece)
            case _:
                yield _plain(family, b"", piece)


def _plain(family: Family, suffix: bytes, rows: list[tuple[bytes, bytes]]) -> bytes:
    name = family.schema.name.encode() + suffix
    if b"" in family.rows:  # no labels, or no longer: a family's series may be older than its label names
        return b"".join([b"%b%b %b\n" % (name, _braced(text), numbers) for text, numbers in rows])
    name += b"{"
    return name + (b"\n" + name).join([text + b"} " + numbers for text, numbers in rows]) + b"\n"


def _histograms(family: Family, rows: list[tuple[bytes, bytes]], *, strict: bool) -> bytes:
    bounds = family.schema.bounds
    negative = float(bounds[0]) < 0
    lines = []
    for text, numbers in rows:
        buckets, count, total = _histogram_template(family.schema, bare=not text)
        observed, *counts = numbers.split()
        cumulative = tuple(accumulate(map(int, counts)))
        if strict and (negative or observed.startswith(_NO_SUM)):
            printed = buckets % cumulative
        elif negative:
            # As prometheus_client does: a sum that can fall is no counter.
            printed = (buckets + count) % (*cumulative, cumulative[-1])
        else:
            printed = (buckets + count + total) % (*cumulative, cumulative[-1], observed)
        lines.append(printed.replace(_LABELS, text))
    return b"".join(lines)


def _summaries(family: Family, rows: list[tuple[bytes, bytes]], *, strict: bool) -> bytes:
    name = family.schema.name.encode()
    lines = []
    for text, numbers in rows:
        counted, observed = numbers.split()
        lines.append(b"%b_count%b %b\n" % (name, _braced(text), counted))
        if not (strict and observed.startswith(_NO_SUM)):
            lines.append(b"%b_sum%b %b\n" % (name, _braced(text), observed))
    return b"".join(lines)


@lru_cache(maxsize=256)
def _histogram_template(schema: Schema, *, bare: bool) -> tuple[bytes, bytes, bytes]:
    """Build the templates of a row's buckets, count and sum; `bare` rows have no labels of their own."""
    name = schema.name.encode()
    labels = b"" if bare else _LABELS + b","
    # A percent sign can't occur: names and bounds have none, and label text comes in afterwards.
    buckets = [b'%b_bucket{%ble="%b"} %%d\n' % (name, labels, bound.encode()) for bound in schema.bounds]
    own = _braced(b"" if bare else _LABELS)
    return b"".join(buckets), b"%b_count%b %%d\n" % (name, own), b"%b_sum%b %%b\n" % (name, own)


def _braced(labels: bytes) -> bytes:
    return b"{%b}" % labels if labels else b""
