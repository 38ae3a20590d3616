"""The environment variables that the deployed code reads."""

from __future__ import annotations

from tests.support.dev_server import REPOSITORY

__all__ = ["is_read"]


def is_read(variable: str) -> bool:
    """Tell whether a module of the library names the variable."""
    return any(f'"{variable}"' in file.read_text() for file in (REPOSITORY / "lib").rglob("*.py"))
