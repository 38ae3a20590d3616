"""Warnings about files that the project needs, and that a rule keeps out of its deployment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from .ignore_rules import Ignored, ignored_by_git, ignored_by_vercel
from .library import Library

__all__ = ["warn_of_ignored"]


def warn_of_ignored(root: Path, code: Path, library: Library, files: Iterable[Path], *, vercel: bool) -> Iterator[str]:
    """Yield a warning for each rule that leaves a needed file out.

    Args:
        root: the project.
        code: the folder with the code that is deployed, relative to it.
        library: how the project gets the package.
        files: the other files that it needs, relative to it.
        vercel: whether it is uploaded by Vercel's command line.
    """
    needed = [code / file for file in library.files]
    paths = list(dict.fromkeys(path.as_posix() for path in (*needed, *files)))
    found = [(".gitignore", hit) for hit in ignored_by_git(root, paths)]
    if vercel:
        found += [(".vercelignore", hit) for hit in ignored_by_vercel(root, paths)]
    warned = set()
    for file, hit in found:
        if hit.rule not in warned:
            warned.add(hit.rule)
            yield _warning(file, hit, (code / library.folder).as_posix() if library.is_copied else None)


def _warning(file: str, hit: Ignored, folder: str | None) -> str:
    is_library = folder is not None and hit.path.startswith(f"{folder}/")
    path = f"{folder}/" if is_library else hit.path
    lost = (
        "not be committed, so a deployment from Git would lack it"
        if file == ".gitignore"
        else "not be uploaded by `vercel deploy`"
    )
    return f"{path} would {lost} ({hit.rule}): {_remedy(file, path)}"


def _remedy(file: str, path: str) -> str:
    """Return what takes the path in again: its folder first, for a file in an ignored folder stays ignored."""
    top = path.partition("/")[0] + ("/" if "/" in path else "")
    return f"add the line `!/{top}` to the end of {file}"
