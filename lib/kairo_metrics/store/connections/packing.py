"""Commands as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..command_flow import Command

__all__ = ["packed"]

# An optional library of redis-py; releases before 2.2 can't do it.
_pack: Any = getattr(import_module("hiredis"), "pack_command", None) if find_spec("hiredis") else None


def packed(connection: Any, commands: Sequence[Command]) -> list[bytes]:
    """Print commands in the protocol; redis-py looks at each word in Python, also where hiredis can do all in C.

    Args:
        connection: one of redis-py's, which prints them where there is no hiredis.
        commands: at least one.
    """
    if _pack is not None:
        return [b"".join(map(_pack, commands))]
    pieces: list[bytes] = connection.pack_commands(commands)
    return pieces
