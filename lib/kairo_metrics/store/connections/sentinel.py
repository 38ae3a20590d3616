"""Sentinels: servers that know which Redis is the master, and which replicas follow it.

They are asked before each new connection. This module does no I/O: `find_server` is a node flow.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import StoreError, StoreUnavailable
from ..command_flow import Command
from .node_flow import NodeFlow
from .node_request import Address, Node

__all__ = ["Sentinels", "find_server"]

_DOWN = {"s_down", "o_down", "disconnected"}


class Sentinels:
    """The sentinels that the settings name, in the order in which they are asked.

    Args:
        hosts: their addresses.
        service: the name under which they know the master.
        reading: whether a replica is wanted; the master is used where there is none.
    """

    def __init__(self, hosts: Sequence[Address], service: str, *, reading: bool) -> None:
        self.hosts = list(hosts)
        self.service = service
        self.reading = reading

    def put_last(self, host: Node) -> None:
        """Move a sentinel that did not answer to the end."""
        self.hosts.sort(key=lambda other: other == host)


def find_server(sentinels: Sentinels) -> NodeFlow[Address]:
    """Return the address of the master, or of a replica for reading.

    All readers use the same replica while it is healthy: the counters of two replicas differ by their lag.

    Raises:
        StoreUnavailable: no sentinel answered with an address.
    """
    reason = "they do not answer"
    commands: list[Command] = [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels.service)]
    if sentinels.reading:
        commands.append(("SENTINEL", "REPLICAS", sentinels.service))
    for host in list(sentinels.hosts):
        try:
            [replies] = (yield {host: commands}).values()
        except GeneratorExit:  # the time limit of the caller has passed
            sentinels.put_last(host)
            raise
        if isinstance(replies, StoreUnavailable):
            sentinels.put_last(host)
            reason = str(replies)
            continue
        master, *rest = replies
        if not isinstance(master, list):
            reason = str(master) if isinstance(master, StoreError) else f"they know no service {sentinels.service!r}"
            continue
        replicas = rest[0] if rest and isinstance(rest[0], list) else []
        return min(filter(None, map(_healthy_address, replicas)), default=(master[0].decode(), int(master[1])))
    raise StoreUnavailable(f"the sentinels gave no address of Redis: {reason}")


def _healthy_address(replica: Sequence[bytes]) -> Address | None:
    """Return the address of a replica that follows its master, or None."""
    fields = {name.decode(): value.decode() for name, value in zip(replica[::2], replica[1::2], strict=True)}
    if _DOWN & set(fields.get("flags", "").split(",")) or fields.get("master-link-status") != "ok":
        return None
    return fields["ip"], int(fields["port"])
