"""Whether what a replica shows is what its master holds, give or take a moment."""

from __future__ import annotations

from typing import Any

from ..errors import StoreError, StoreUnavailable
from .server_info import read_info

__all__ = ["check_replica"]

# A master speaks to its replicas every 10 s at the latest.
_SILENT_S = 30
_READ_FROM = "the replica that METRICS_READ_URL names"


def check_replica(reply: Any) -> None:
    r"""Refuse to read from a replica that does not follow its master: its numbers would stand still, and look fresh.

    Args:
        reply: to `INFO replication`.

    Raises:
        StoreUnavailable: it is cut off, still copies, or does not tell.

    Example:
        >>> check_replica(b"role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:1\r\n")
    """
    if isinstance(reply, StoreError):
        raise StoreUnavailable(f"{_READ_FROM} does not tell whether it follows its master: {reply}") from reply
    told = read_info(reply)
    if told.get("role") == "master":
        return
    if told.get("role") != "slave":
        raise StoreUnavailable(f"{_READ_FROM} does not tell whether it follows its master")
    if told.get("master_sync_in_progress") == "1":
        raise StoreUnavailable(f"{_READ_FROM} still copies what its master holds")
    if told.get("master_link_status") != "up":
        since = told.get("master_link_down_since_seconds", "")
        raise StoreUnavailable(f"{_READ_FROM} has lost its master{f' for {since} s' if since.isdigit() else ''}")
    silent = told.get("master_last_io_seconds_ago", "")
    if silent.isdigit() and int(silent) > _SILENT_S:
        raise StoreUnavailable(f"{_READ_FROM} has not heard of its master for {silent} s")
