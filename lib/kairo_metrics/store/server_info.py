"""Reading the reply to `INFO`."""

from __future__ import annotations

from typing import Any

__all__ = ["read_info"]


def read_info(reply: Any) -> dict[str, str]:
    r"""Return the values by their names; empty if the server refused. Hosted servers leave some lines out.

    Example:
        >>> read_info(b"# Replication\r\nrole:master\r\n")
        {'role': 'master'}
    """
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else ""
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value for name, _, value in lines if value}
