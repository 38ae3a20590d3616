"""What a server tells of itself in the reply to `INFO`."""

from __future__ import annotations

from typing import Any

__all__ = ["read_info"]


def read_info(reply: Any) -> dict[str, str]:
    r"""Return its lines by name; hosted servers leave some out, or refuse the command.

    Example:
        >>> read_info(b"# Replication\r\nrole:master\r\n")
        {'role': 'master'}
    """
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else ""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value for name, _, value in lines if value}
