"""Sample lines, many at a time.

A line is put together from bytes that are stored ready to print: no label is parsed or escaped again,
and no number goes through a float. A histogram has one template for all its lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, islice

from .family import Family

__all__ = ["sample_lines"]

# Rows per piece of the body: large enough to be cheap, small enough not to hold up the event loop.
_ROWS_PER_PIECE = 5_000
# Stands for the label text in a template; no label text holds it.
_LABELS = b"\x00"


def sample_lines(family: Family, *, strict: bool) -> Iterator[bytes]:
    """Print a family's samples, in pieces of some thousand rows.

    Args:
        family: what to print.
        strict: leave out `_sum` and `_count` where OpenMetrics 1.0 forbids the sum: below a negative
            bound, and when it is negative.
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
            case _:
                yield _plain(family, b"", piece)


def _plain(family: Family, suffix: bytes, rows: list[tuple[bytes, bytes]]) -> bytes:
    name = family.schema.name.encode() + suffix
    if not family.schema.labelnames:
        return b"".join([b"%b %b\n" % (name, numbers) for _, numbers in rows])
    name += b"{"
    return name + (b"\n" + name).join([text + b"} " + numbers for text, numbers in rows]) + b"\n"


def _histograms(family: Family, rows: list[tuple[bytes, bytes]], *, strict: bool) -> bytes:
    schema = family.schema
    buckets = b"".join([_line(family, b"_bucket", b'le="%b"' % bound.encode(), b"%d") for bound in schema.bounds])
    count = _line(family, b"_count", b"", b"%d")
    total = _line(family, b"_sum", b"", b"%b")
    negative = float(schema.bounds[0]) < 0
    whole = buckets + count + total
    lines = []
    for text, numbers in rows:
        observed, *counts = numbers.split()
        cumulative = tuple(accumulate(map(int, counts)))
        if strict and (negative or observed.startswith(b"-")):
            printed = buckets % cumulative
        elif negative:
            # As prometheus_client does: a sum that can fall is no counter.
            printed = (buckets + count) % (*cumulative, cumulative[-1])
        else:
            printed = whole % (*cumulative, cumulative[-1], observed)
        lines.append(printed.replace(_LABELS, text))
    return b"".join(lines)


def _summaries(family: Family, rows: list[tuple[bytes, bytes]], *, strict: bool) -> bytes:
    count = _line(family, b"_count", b"", b"%b")
    total = _line(family, b"_sum", b"", b"%b")
    lines = []
    for text, numbers in rows:
        counted, observed = numbers.split()
        printed = count % counted
        if not (strict and observed.startswith(b"-")):
            printed += total % observed
        lines.append(printed.replace(_LABELS, text))
    return b"".join(lines)


def _line(family: Family, suffix: bytes, own_label: bytes, value: bytes) -> bytes:
    """Build a template: `name_suffix{<labels>,own_label} value`."""
    labels = b",".join(filter(None, (_LABELS if family.schema.labelnames else b"", own_label)))
    braced = b"{%b}" % labels if labels else b""
    # A percent sign can't occur: names and bounds have none, and label text comes in afterwards.
    return b"%b%b%b %b\n" % (family.schema.name.encode(), suffix, braced, value)
