"""Checking that a replica follows its master, so that its data is recent."""

from __future__ import annotations

from typing import Any

from ..errors import StoreError, StoreUnavailable
from .server_info import read_info

__all__ = ["check_replica"]

# A master sends something to its replicas at least every 10 s.
_MAX_SILENCE_S = 30
_READ_FROM = "the replica that METRICS_READ_URL names"


def check_replica(reply: Any) -> None:
    r"""Raise if a replica does not follow its master: its numbers would stand still and look recent.

    Args:
        reply: the reply to `INFO replication`.

    Raises:
        StoreUnavailable: it is cut off, still copying, or does not show whether it follows its master.

    Example:
        >>> check_replica(b"role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:1\r\n")
    """
    if isinstance(reply, StoreError):
        raise StoreUnavailable(f"{_READ_FROM} does not tell whether it follows its master: {reply}") from reply
    info = read_info(reply)
    if info.get("role") == "master":
        return
    if info.get("role") != "slave":
        raise StoreUnavailable(f"{_READ_FROM} does not tell whether it follows its master")
    if info.get("master_sync_in_progress") == "1":
        raise StoreUnavailable(f"{_READ_FROM} still copies what its master holds")
    if info.get("master_link_status") != "up":
        since = info.get("master_link_down_since_seconds", "")
        raise StoreUnavailable(f"{_READ_FROM} has lost its master{f' for {since} s' if since.isdigit() else ''}")
    silent = info.get("master_last_io_seconds_ago", "")
    if silent.isdigit() and int(silent) > _MAX_SILENCE_S:
        raise StoreUnavailable(f"{_READ_FROM} has not heard of its master for {silent} s")
