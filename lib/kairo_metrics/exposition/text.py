"""The Prometheus text format: version 0.0.4, and 1.0.0, which also has names beyond the classic letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from .family import Family
from .names import VALUE_SUFFIXES, name_of
from .samples import created_lines, gauge_totals, sample_lines

__all__ = ["render"]

# Types that this format does not have.
_TYPES = {"gaugehistogram": "histogram", "info": "gauge", "stateset": "gauge", "unknown": "untyped"}
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def render(families: Iterable[Family]) -> Iterator[bytes]:
    r"""Print families in pieces.

    Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

    Example:
        >>> from ..model.schema import Schema
        >>> jobs = Family(Schema("jobs", "counter", ("queue",), help="Jobs done."), {b'queue="a"': b"3"})
        >>> b"".join(render([jobs]))
        b'# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total{queue="a"} 3\n'
    """
    for family in families:
        schema = family.schema
        name = name_of(family, VALUE_SUFFIXES.get(schema.type, ""))
        yield _head(name, schema.help, _TYPES.get(schema.type, schema.type))
        yield from sample_lines(family, strict=False)
        for suffix, lines in gauge_totals(family) if schema.type == "gaugehistogram" else ():
            yield _head(name_of(family, suffix), schema.help, "gauge") + lines
        if family.created:
            yield _head(name_of(family, "_created"), schema.help, "gauge")
            yield from created_lines(family)


@lru_cache(maxsize=1024)
def _head(name: str, help_text: str, typ: str) -> bytes:
    return f"# HELP {name} {help_text.translate(_ESCAPES)}\n# TYPE {name} {typ}\n".encode()
