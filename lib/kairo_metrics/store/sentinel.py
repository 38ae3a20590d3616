"""Sentinels: who is the master now, and which replica follows it.

They are asked for each new connection. What is told here does no input or output of its own, as in `cluster`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from ..errors import StoreError, StoreUnavailable
from .command_flow import Command
from .node_request import Address, Node

__all__ = ["Sentinels", "find"]

Finding = Generator[dict[Node, list[Command]], dict[Node, list[Any] | StoreUnavailable], Address]

_DOWN = {"s_down", "o_down", "disconnected"}


class Sentinels:
    """Those that the settings name; whoever has answered last is asked first.

    Args:
        hosts: their addresses.
        service: the name under which they know the server.
        reading: whether a replica is wanted, and the master only where there is none.
    """

    def __init__(self, hosts: Sequence[Address], service: str, *, reading: bool) -> None:
        self.hosts = list(hosts)
        self.service = service
        self.reading = reading

    def put_last(self, host: Node) -> None:
        """Ask the others before this one, which did not answer."""
        self.hosts.sort(key=lambda other: other == host)


def find(sentinels: Sentinels) -> Finding:
    """Return where the server is that is to be asked.

    Every reader takes the same replica while it is well: counters of two replicas differ by what each has not got yet.

    Raises:
        StoreUnavailable: no sentinel could tell.
    """
    reason = "they do not answer"
    commands: list[Command] = [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels.service)]
    if sentinels.reading:
        commands.append(("SENTINEL", "REPLICAS", sentinels.service))
    for host in list(sentinels.hosts):
        try:
            replies = yield {host: commands}
        except GeneratorExit:
            sentinels.put_last(host)
            raise
        got = replies[host]
        if isinstance(got, StoreUnavailable):
            sentinels.put_last(host)
            reason = str(got)
            continue
        master, *rest = got
        if not isinstance(master, list):
            reason = str(master) if isinstance(master, StoreError) else f"they know no service {sentinels.service!r}"
            continue
        replicas = rest[0] if rest and isinstance(rest[0], list) else []
        return min(filter(None, map(_well, replicas)), default=(master[0].decode(), int(master[1])))
    raise StoreUnavailable(f"the sentinels do not tell where Redis is: {reason}")


def _well(replica: Sequence[bytes]) -> Address | None:
    """Return the address of a replica that follows its master."""
    told = {name.decode(): value.decode() for name, value in zip(replica[::2], replica[1::2], strict=True)}
    if _DOWN & set(told.get("flags", "").split(",")) or told.get("master-link-status") != "ok":
        return None
    return told["ip"], int(told["port"])
