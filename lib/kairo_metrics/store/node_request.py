"""What is asked of one node in one piece, and which key says of which node."""

from __future__ import annotations

from dataclasses import dataclass

from .command_flow import Command

__all__ = ["Address", "Node", "NodeRequest", "first_key"]

Address = tuple[str, int]
# A node of a cluster; None is the server that the settings name, which may be the only one.
Node = Address | None

_WITHOUT_KEY = frozenset({"ASKING", "CLUSTER", "DBSIZE", "EXEC", "INFO", "MULTI", "PING", "SCAN", "TIME"})
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})
_CURSOR = 2


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """Commands that travel together.

    Args:
        commands: their keys are in one hash slot.
        at: the node to ask, where it is `pinned` to one; else the keys say which.
        cursor_of: the node that gave the cursor of an `HSCAN`; no other one understands it.
    """

    commands: tuple[Command, ...]
    at: Node = None
    cursor_of: Node = None
    pinned: bool = False

    def commands_for(self, node: Node) -> tuple[Command, ...]:
        """Return the commands as that node is to be asked.

        Where a key has moved since it was read in part, it is read again from its beginning: nodes sort the fields of a
        hash by a secret of their own.

        Example:
            >>> request = NodeRequest((("HSCAN", "key", b"17", "COUNT", 9),), cursor_of=("10.0.0.1", 6379))
            >>> request.commands_for(("10.0.0.2", 6379))
            (('HSCAN', 'key', b'0', 'COUNT', 9),)
        """
        [first, *_] = self.commands
        if first[0] != "HSCAN" or node == self.cursor_of:
            return self.commands
        return ((*first[:_CURSOR], b"0", *first[_CURSOR + 1 :]),)


def first_key(command: Command) -> bytes | None:
    """Return a command's first key; None where it has none.

    Example:
        >>> first_key(("EVALSHA", "0f", 2, "one", "two")), first_key(("HGETALL", "one")), first_key(("TIME",))
        (b'one', b'one', None)
    """
    if command[0] in _WITHOUT_KEY:
        return None
    key = command[3 if command[0] in _SCRIPTS else 1]
    return key if isinstance(key, bytes) else str(key).encode(errors="surrogateescape")
