"""`make coverage`: how much of each room the tests run, from coverage.py's report in JSON, as a table."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["table"]

_PACKAGES = Path("lib")
_HEAD = ("room", "lines", "not run", "branches", "not taken", "covered")


def table(report: Mapping[str, Any]) -> str:
    """Return a line for each room, and one for all of them.

    Example:
        >>> numbers = {"num_statements": 8, "missing_lines": 1, "num_branches": 2, "missing_branches": 1}
        >>> print(table({"files": {"lib/kairo_metrics/scrape/merge.py": {"summary": numbers}}}))
        room                        lines  not run  branches  not taken  covered
        kairo_metrics/scrape            8        1         2          1      80%
        all                             8        1         2          1      80%
    """
    rooms: dict[str, Counter[str]] = {}
    total: Counter[str] = Counter()
    for file, found in sorted(report["files"].items()):
        package, room, *_ = Path(file).relative_to(_PACKAGES).parts
        room = f"{package}/{room}" if package == "kairo_metrics" else package
        rooms.setdefault(room, Counter()).update(found["summary"])
        total.update(found["summary"])
    return "\n".join(
        [_line(*_HEAD), *[_line(room, *_numbers(counted)) for room, counted in (*rooms.items(), ("all", total))]]
    )


def _numbers(counted: Mapping[str, int]) -> tuple[str, ...]:
    lines, branches = counted["num_statements"], counted["num_branches"]
    missing_lines, missing_branches = counted["missing_lines"], counted["missing_branches"]
    missing = missing_lines + missing_branches
    covered = f"{100 * (1 - missing / (lines + branches)):.0f}%" if lines else "-"
    return str(lines), str(missing_lines), str(branches), str(missing_branches), covered


def _line(room: str, *cells: str) -> str:
    widths = (len(name) + 2 for name in _HEAD[1:])
    return f"{room:26}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


if __name__ == "__main__":
    sys.stdout.write(f"{table(json.loads(Path(sys.argv[1]).read_text()))}\n")
