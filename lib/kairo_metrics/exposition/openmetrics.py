"""OpenMetrics text, version 1.0.0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .family import Family
from .names import name_of, printed_label, unquoted_name_of
from .samples import sample_lines

__all__ = ["render"]

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def render(families: Iterable[Family]) -> Iterator[bytes]:
    r"""Print families in pieces. The last piece is `# EOF`.

    Source: OpenMetrics 1.0, section "Text Format".

    Example:
        >>> from ..model.schema import Schema
        >>> jobs = Family(Schema("jobs", "counter", help="Jobs done."), {b"": b"3"})
        >>> b"".join(render([jobs]))
        b'# HELP jobs Jobs done.\n# TYPE jobs counter\njobs_total 3\n# EOF\n'
    """
    for family in families:
        schema = family.schema
        name = name_of(family)
        bare_name = unquoted_name_of(family)
        # Escaping can take the unit off a name's end, and parsers refuse a page with another unit than the name's.
        unit = f"# UNIT {name} {schema.unit}\n" if schema.unit and bare_name.endswith(f"_{schema.unit}") else ""
        # A state's label has the family's name, but a label can have no colon.
        is_gauge = schema.type == "stateset" and printed_label(schema.name, family.escaping) != bare_name
        typ = "gauge" if is_gauge else schema.type
        yield f"# HELP {name} {schema.help.translate(_ESCAPES)}\n# TYPE {name} {typ}\n{unit}".encode()
        yield from sample_lines(family, strict=True)
    yield b"# EOF\n"
