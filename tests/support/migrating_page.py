"""What docs/migrating.md shows: its apps as they are before a move, and after it."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.support.dev_server import REPOSITORY

__all__ = ["Move", "moves", "section"]

_PAGE = REPOSITORY / "docs" / "migrating.md"
_DIFF = re.compile(r"^( *)```diff\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# (\w+\.py)\n")


class Move(NamedTuple):
    """A project on both sides of a step; each file's name leads to its text."""

    before: dict[str, str]
    after: dict[str, str]


def section(heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    found = _PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert found, f"docs/migrating.md has no heading {heading!r}"
    return found


def moves(heading: str) -> list[Move]:
    """Return the moves that a section shows. Files that name themselves in their first line are of one project."""
    found: list[Move] = []
    for indent, block in _DIFF.findall(section(heading)):
        lines = [line.removeprefix(indent) for line in block.splitlines()]
        before, after = (_side(lines, sign) for sign in "-+")
        named = _NAMED.match(before)
        if named is None:
            found.append(Move({"app.py": before}, {"app.py": after}))
            continue
        if not found or named[1] in found[-1].before:
            found.append(Move({}, {}))
        found[-1].before[named[1]], found[-1].after[named[1]] = before, after
    return found


def _side(lines: list[str], sign: str) -> str:
    return "".join(f"{line[1:]}\n" for line in lines if line[:1] in {sign, " ", ""})
