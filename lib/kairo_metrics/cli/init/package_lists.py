"""Which files list a project's packages, and what they list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .text_file import read_text

__all__ = ["folders_with_lists", "lines_in", "lists_of_lines"]

# Vercel takes the first of these that a folder has, and looks in the folder of the function first, then in those around
# it (`discoverPythonPackage` of @vercel/python-analysis).
_TABLES = ("pyproject.toml", "Pipfile.lock", "Pipfile")
_FROZEN = ("requirements.frozen.txt", "requirements-frozen.txt")
_PLAIN = ("requirements.txt", "requirements.in", "requirements/prod.txt")
_INCLUDES = re.compile(r"\s*(?:-r|--requirement)[\s=]+([^\s#]+)")


def folders_with_lists(root: Path, code: Path, files: Iterable[Path]) -> list[Path]:
    """Return the folders whose lists Vercel installs for these files, each once; the code's where there is none.

    Args:
        root: the project.
        code: the folder with the code that is deployed.
        files: what is deployed, relative to the project.
    """
    found = [_nearest(root, code, file.parent) for file in files]
    return list(dict.fromkeys(found)) or [code]


def _nearest(root: Path, code: Path, folder: Path) -> Path:
    for above in (folder, *folder.parents):
        if any((root / above / name).is_file() for name in (*_TABLES, *_FROZEN, *_PLAIN)):
            return above
    return code


def lists_of_lines(root: Path, folder: Path) -> list[Path]:
    """Return the lists of a folder to which lines are added: those that are installed, or the one to make.

    A frozen list is made from another one, so both are changed.
    """
    frozen = [name for name in _FROZEN if (root / folder / name).is_file()]
    plain = [name for name in _PLAIN if (root / folder / name).is_file()]
    return [folder / name for name in (*frozen, *(plain[:1] or ([] if frozen else _PLAIN[:1])))]


def lines_in(root: Path, path: Path) -> list[str]:
    """Return the lines of a list, with those of the lists that it includes; none if there is no such file."""
    return list(_lines(root, path, set()))


def _lines(root: Path, path: Path, seen: set[Path]) -> Iterator[str]:
    if path in seen:
        return
    seen.add(path)
    for line in (read_text(root, path) or "").splitlines():
        yield line
        if included := _INCLUDES.match(line):
            yield from _lines(root, path.parent / included[1], seen)
