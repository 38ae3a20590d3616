"""Tables for people: aligned columns, and lines that fit the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .terminal import Terminal, cell_width, printable

__all__ = ["print_table"]

_GAP = "  "
_NARROWEST = 8
_CUT = "…"
_NUMBER = re.compile(r"-|nan|-?inf|(?:> )?-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?(?:%| (?:s|min|h|d) ago)?")


def print_table(terminal: Terminal, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a header. Numbers are aligned to the right.

    On a terminal the widest column of text is cut until the line fits. Other output is never cut.

    Args:
        terminal: where to print.
        columns: the headings.
        rows: one cell for each heading.
    """
    right = [bool(rows) and all(_is_number(row[number]) for row in rows) for number in range(len(columns))]
    texts = [list(columns), *[[printable(str(cell)) for cell in row] for row in rows]]
    widths = [max(cell_width(row[number]) for row in texts) for number in range(len(columns))]
    if terminal.width is not None:
        _shrink(widths, right, terminal.width)
    for number, row in enumerate(texts):
        cells = [_fitted(text, width, to_right) for text, width, to_right in zip(row, widths, right, strict=True)]
        line = _GAP.join(cells).rstrip()
        terminal.write_line(line if number else terminal.style(line, "bold"))


def _is_number(cell: object) -> bool:
    """Tell whether a cell is aligned to the right: numbers, and text in place of a number."""
    return isinstance(cell, int | float) or bool(_NUMBER.fullmatch(str(cell)))


def _shrink(widths: list[int], right: Sequence[bool], room: int) -> None:
    too_wide = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    while too_wide > 0:
        widest = max((n for n in range(len(widths)) if not right[n]), key=lambda n: widths[n], default=None)
        if widest is None or widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1
        too_wide -= 1


def _fitted(text: str, width: int, to_right: bool) -> str:
    if cell_width(text) > width:
        while cell_width(text) > width - 1:
            text = text[:-1]
        text += _CUT
    padding = " " * (width - cell_width(text))
    return padding + text if to_right else text + padding
