"""The Python files of a project that are its own: no packages, no environments, no tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["python_files"]

_MOST_FILES = 500
_NOT_THE_PROJECT = {
    "kairo_metrics",
    "node_modules",
    "site-packages",
    "__pycache__",
    "venv",
    "env",
    "build",
    "dist",
    "tests",
    "test",
}


def python_files(root: Path) -> Iterator[Path]:
    """Yield the project's own files, and stop where it is no project but a whole disk."""
    found = 0
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in _NOT_THE_PROJECT)
        for name in sorted(name for name in names if name.endswith(".py")):
            found += 1
            if found > _MOST_FILES:
                return
            yield Path(folder, name).relative_to(root)
