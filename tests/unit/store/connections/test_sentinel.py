"""Which Redis the sentinels name, without a network."""

from __future__ import annotations

from typing import Any

import pytest

from lib.kairo_metrics.errors import StoreRefused, StoreUnavailable
from lib.kairo_metrics.store.connections.node_flow import NodeCommands, NodeReplies, run_node_flow
from lib.kairo_metrics.store.connections.node_request import Address, Node
from lib.kairo_metrics.store.connections.sentinel import Sentinels, find_server

ONE, TWO = ("10.0.0.1", 26379), ("10.0.0.2", 26379)
MASTER = [b"10.0.0.7", b"6379"]


def replica(host: bytes, flags: bytes = b"slave", link: bytes = b"ok") -> list[bytes]:
    return [b"ip", host, b"port", b"6380", b"flags", flags, b"master-link-status", link]


def found(sentinels: Sentinels, replies: dict[Node, list[Any] | StoreUnavailable]) -> Address:
    """Return the address that the sentinels name if each replies as given."""

    def exchange(commands: NodeCommands) -> NodeReplies:
        return {node: replies[node] for node in commands}

    return run_node_flow(find_server(sentinels), exchange)


def test_writers_use_the_master() -> None:
    """A batch goes to the server that the sentinels call the master."""
    assert found(Sentinels([ONE], "main", reading=False), {ONE: [MASTER]}) == ("10.0.0.7", 6379)


def test_readers_share_one_healthy_replica() -> None:
    """Pages read from the first replica that follows its master, so their counters do not jump between two lags."""
    replicas = [
        replica(b"10.0.0.9"),
        replica(b"10.0.0.8"),
        replica(b"10.0.0.3", flags=b"slave,s_down"),
        replica(b"10.0.0.4", link=b"err"),
    ]
    sentinels = Sentinels([ONE], "main", reading=True)
    assert found(sentinels, {ONE: [MASTER, replicas]}) == ("10.0.0.8", 6380)
    assert found(sentinels, {ONE: [MASTER, replicas[2:]]}) == ("10.0.0.7", 6379)
    assert found(sentinels, {ONE: [MASTER, StoreRefused("NOPERM")]}) == ("10.0.0.7", 6379)


def test_a_sentinel_that_is_away_is_asked_last() -> None:
    """Each flush asks the other sentinels, and the next one begins with one that answers."""
    sentinels = Sentinels([ONE, TWO], "main", reading=False)
    assert found(sentinels, {ONE: StoreUnavailable("gone"), TWO: [MASTER]}) == ("10.0.0.7", 6379)
    assert sentinels.hosts == [TWO, ONE]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (StoreUnavailable("gone"), "gave no address of Redis: gone"),
        ([StoreRefused("NOAUTH")], "gave no address of Redis: NOAUTH"),
        ([None], "gave no address of Redis: they know no service 'main'"),
    ],
)
def test_the_error_gives_the_reason(reply: Any, reason: str) -> None:
    """If no sentinel gives an address, the error gives the reply of the last one."""
    with pytest.raises(StoreUnavailable, match=reason):
        found(Sentinels([ONE], "main", reading=False), {ONE: reply})
