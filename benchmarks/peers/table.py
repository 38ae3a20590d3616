"""The comparison as a table on the terminal, as JSON and as a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers.comparison import DISTANCE_MS, Figures
from benchmarks.peers.peer import OURS

__all__ = ["as_json", "as_picture", "printed", "write"]

_MILLISECOND_US = 1e3
_DISTANCE = f"{DISTANCE_MS:g} ms"
_LEFT, _WIDTH, _TOP, _ROW, _BAR = 280, 380, 62, 52, 15
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.quiet { fill: #57606a; font-size: 12px }
.near { fill: #0969da } .far { fill: #9a6700 } .ours { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #8d96a0 } .near { fill: #4493f8 } .far { fill: #d29922 }
}
"""


def printed(figures: Sequence[Figures]) -> str:
    """Print the rows of the table."""
    lines = [f"{'0 ms':>47}{_DISTANCE:>11}{'trips':>7}{'sent':>6}{'run':>6}{'cold':>6}{'total':>12}{'with losses':>17}"]
    lines += [
        f"{row.name:<38}{row.near_us:6.0f} µs{_far(row):>11}{_number(row.round_trips):>7}{_number(row.sent):>6}"
        f"{_number(row.run):>6}{_number(row.cold_round_trips):>6}{_total(row.counted, row.made):>12}"
        f"{_total(row.counted_after_losses, row.made_with_losses):>17}"
        for row in figures
    ]
    lines.append(
        "Of one request: its time with Redis that far away, round trips, commands that are sent and that Redis runs,\n"
        "round trips of a new process up to its first request. Totals are what the page shows of four processes that\n"
        "count at once, and of one whose connection breaks 20 times: 10 times before a command arrives, 10 times after"
    )
    return "\n".join(lines)


def _far(row: Figures) -> str:
    return "" if row.far_us is None else f"{row.far_us / 1e3:.1f} ms"


def _number(number: float | None) -> str:
    return "" if number is None else f"{number:.0f}"


def _total(counted: int | None, made: int | None) -> str:
    if counted is None:
        return ""
    return f"{counted}" if counted == made else f"{counted}, not {made}"


def as_json(figures: Sequence[Figures], machine: str) -> str:
    """Print the same for programs.

    Args:
        figures: the rows.
        machine: what it was measured on.
    """
    rows = [{**asdict(row), "is_right": row.is_right} for row in figures]
    return json.dumps({"machine": machine, "distance_ms": DISTANCE_MS, "libraries": rows}, indent=2) + "\n"


def as_picture(figures: Sequence[Figures]) -> str:
    """Draw the times as bars on a logarithmic axis: SVG for light and dark pages."""
    most = max(time for row in figures for time in (row.near_us, row.far_us or 0))
    height = _TOP + _ROW * len(figures) + 26
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 150} {height}" role="img">',
        "<title>Time of one request with each library</title>",
        f"<style>{_STYLE}</style>",
        '<text x="10" y="22" class="ours">Time until a request is counted: a counter, a histogram and an error</text>',
        f'<text x="10" y="42" class="quiet">Median, logarithmic. {_key("near")} Redis on the same machine</text>',
        f'<text x="{_LEFT + 60}" y="42" class="quiet">{_key("far")} Redis {_DISTANCE} away</text>',
    ]
    for place, row in enumerate(figures):
        y = _TOP + place * _ROW
        name = ' class="ours"' if row.name == OURS else ""
        parts.append(f'<text x="10" y="{y + 20}"{name}>{row.name}</text>')
        if not row.is_right:
            total = _total(row.counted_after_losses, row.made_with_losses)
            parts.append(f'<text x="10" y="{y + 36}" class="quiet">after lost connections {total}</text>')
        for line, (kind, time_us) in enumerate((("near", row.near_us), ("far", row.far_us))):
            if time_us is not None:
                width = _WIDTH * math.log10(max(time_us, 1.0)) / math.log10(most)
                top = y + 5 + line * (_BAR + 4)
                parts.append(f'<rect x="{_LEFT}" y="{top}" width="{width:.0f}" height="{_BAR}" rx="2" class="{kind}"/>')
                parts.append(f'<text x="{_LEFT + width + 8:.0f}" y="{top + 12}" class="quiet">{_time(time_us)}</text>')
    parts.append(f'<text x="10" y="{height - 8}" class="quiet">Printed by make bench</text>\n</svg>\n')
    return "\n".join(parts)


def _key(kind: str) -> str:
    return f'<tspan class="{kind}">■</tspan>'


def _time(time_us: float) -> str:
    return f"{time_us:.0f} µs" if time_us < _MILLISECOND_US else f"{time_us / _MILLISECOND_US:.1f} ms"


def write(figures: Sequence[Figures], machine: str, folder: Path) -> None:
    """Write both files into a folder."""
    (folder / "peers.json").write_text(as_json(figures, machine))
    (folder / "peers.svg").write_text(as_picture(figures))
