"""The Prometheus text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .family import Family
from .samples import sample_lines

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SUFFIXES = {"counter": "_total", "info": "_info"}
# What this format has no name for.
_TYPES = {"info": "gauge", "stateset": "gauge"}
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def render(families: Iterable[Family]) -> Iterator[bytes]:
    r"""Print families in pieces.

    Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

    Example:
        >>> from lib.kairo_metrics.store.schema import Schema
        >>> jobs = Family(Schema("jobs", "counter", ("queue",), help="Jobs done."), {b'queue="a"': b"3"})
        >>> b"".join(render([jobs]))
        b'# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total{queue="a"} 3\n'
    """
    for family in families:
        schema = family.schema
        name = f"{schema.name}{_SUFFIXES.get(schema.type, '')}"
        typ = _TYPES.get(schema.type, schema.type)
        yield f"# HELP {name} {schema.help.translate(_ESCAPES)}\n# TYPE {name} {typ}\n".encode()
        yield from sample_lines(family, strict=False)
