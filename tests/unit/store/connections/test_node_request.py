"""Requests to one node: the key that decides where they go, and cursors."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.store.command_flow import Command
from lib.kairo_metrics.store.connections.node_request import NodeRequest, first_key

ONE, TWO = ("10.0.0.1", 7001), ("10.0.0.2", 7002)
SCAN: Command = ("HSCAN", "key", b"42", "COUNT", 9)


def test_a_cursor_is_valid_on_its_node_only() -> None:
    """A hash that moved during a scan is read from the beginning on its new node."""
    request = NodeRequest((SCAN,), cursor_node=ONE)
    assert request.commands_for(ONE) == (SCAN,)
    assert request.commands_for(TWO) == (("HSCAN", "key", b"0", "COUNT", 9),)


def test_other_commands_are_the_same_on_every_node() -> None:
    """A batch that is redirected arrives as it was sent."""
    batch: Command = ("EVALSHA", "0f", 1, "key", 42)
    assert NodeRequest((batch,)).commands_for(TWO) == (batch,)


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("HGETALL", "one"), b"one"),
        (("EVALSHA", "0f", 2, "one", "two"), b"one"),
        (("EVAL", b"return 1", 1, b"one"), b"one"),
        (("UNLINK", b"\xff"), b"\xff"),
        (("HDEL", "\udcff", "field"), b"\xff"),
        (("TIME",), None),
        (("INFO", "server"), None),
        (("SCAN", b"0", "MATCH", "*"), None),
        (("EXEC",), None),
    ],
)
def test_the_first_key_decides(command: Command, key: bytes | None) -> None:
    """A command goes to the node of its first key, byte by byte as it is stored; without a key, to any node."""
    assert first_key(command) == key
