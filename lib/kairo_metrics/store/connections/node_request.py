"""Requests to one node of a cluster, and the key that decides which node that is."""

from __future__ import annotations

from dataclasses import dataclass

from ..command_flow import Command

__all__ = ["Address", "Node", "NodeRequest", "first_key"]

Address = tuple[str, int]
# A node of a cluster; None is the server that the settings name, which may be the only one.
Node = Address | None

_WITHOUT_KEY = frozenset({"ASKING", "CLUSTER", "DBSIZE", "EXEC", "INFO", "MULTI", "PING", "SCAN", "TIME"})
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})
_CURSOR = 2


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """Commands that are sent to the same node together.

    Args:
        commands: their keys are in one hash slot.
        node: the node that they are for, if they are `pinned` to one; otherwise their keys decide.
        cursor_node: the node that issued the cursor of an `HSCAN`; the cursor is valid on that node only.
    """

    commands: tuple[Command, ...]
    node: Node = None
    cursor_node: Node = None
    pinned: bool = False

    def commands_for(self, node: Node) -> tuple[Command, ...]:
        """Return the commands in the form that this node understands.

        If the hash of an `HSCAN` has moved to another node, the scan starts again from the beginning: each node orders
        the fields of a hash by a secret seed of its own.

        Example:
            >>> request = NodeRequest((("HSCAN", "key", b"17", "COUNT", 9),), cursor_node=("10.0.0.1", 6379))
            >>> request.commands_for(("10.0.0.2", 6379))
            (('HSCAN', 'key', b'0', 'COUNT', 9),)
        """
        [first, *_] = self.commands
        if first[0] != "HSCAN" or node == self.cursor_node:
            return self.commands
        return ((*first[:_CURSOR], b"0", *first[_CURSOR + 1 :]),)


def first_key(command: Command) -> bytes | None:
    """Return a command's first key, or None if it has none.

    Example:
        >>> first_key(("EVALSHA", "0f", 2, "one", "two")), first_key(("HGETALL", "one")), first_key(("TIME",))
        (b'one', b'one', None)
    """
    if command[0] in _WITHOUT_KEY:
        return None
    key = command[3 if command[0] in _SCRIPTS else 1]
    return key if isinstance(key, bytes) else str(key).encode(errors="surrogateescape")
