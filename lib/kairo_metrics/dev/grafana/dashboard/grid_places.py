"""Where panels stand on the grid: in lines of 24 columns, from left to right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .panels import Panel

__all__ = ["placed"]

_COLUMNS = 24


def placed(panels: Iterable[Panel], top: int) -> Iterator[tuple[Panel, dict[str, int]]]:
    """Yield each panel with its place below `top`; panels of one line have one height, and fill the line."""
    for line in _lines(panels):
        left = 0
        for panel, width in zip(line, _widths(line), strict=True):
            yield panel, {"h": panel.spec.height, "w": width, "x": left, "y": top}
            left += width
        top += line[0].spec.height


def _lines(panels: Iterable[Panel]) -> Iterator[list[Panel]]:
    line: list[Panel] = []
    for panel in panels:
        full = sum(one.spec.width for one in line) + panel.spec.width > _COLUMNS
        if line and (full or panel.spec.height != line[0].spec.height):
            yield line
            line = []
        line.append(panel)
    if line:
        yield line


def _widths(line: list[Panel]) -> list[int]:
    """Share what is left of the line, which has a gap where a panel is left out."""
    rest = _COLUMNS - sum(panel.spec.width for panel in line)
    each, odd = divmod(rest, len(line))
    return [panel.spec.width + each + (at < odd) for at, panel in enumerate(line)]
