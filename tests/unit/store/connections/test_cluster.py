"""Routing in a cluster, without a network: redirects, nodes that fail, instances that are frozen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lib.kairo_metrics.errors import KeysElsewhere, StoreRefused, StoreUnavailable
from lib.kairo_metrics.store.command_flow import Command
from lib.kairo_metrics.store.connections.cluster import Cluster, NodeResponse, route
from lib.kairo_metrics.store.connections.connection import hash_slot
from lib.kairo_metrics.store.connections.node_flow import run_node_flow
from lib.kairo_metrics.store.connections.node_request import Node, NodeRequest

HOME = ("home.example.org", 7000)
ONE, TWO = ("10.0.0.1", 7001), ("10.0.0.2", 7002)
KEY = "kairo:v1:{development/0}:families"
SLOT = hash_slot(KEY.encode())
BATCH = NodeRequest((("EVALSHA", "0f", 1, KEY),))
Server = Callable[[Node, Sequence[Command]], list[Any] | StoreUnavailable]


def moved(to: Node, *, asking: bool = False) -> KeysElsewhere:
    """Make a redirect."""
    host, port = to or HOME
    return KeysElsewhere("MOVED", SLOT, host, port, asking=asking)


def slot_map(master: tuple[str, int], *replicas: tuple[str, int]) -> list[Any]:
    """Make a reply to CLUSTER SLOTS: one master has all slots."""
    return [[0, 16383, *([host.encode(), port, b"id"] for host, port in (master, *replicas))]]


class Network:
    """Replies as given for each node, and records which node received which commands."""

    def __init__(self, **servers: Any) -> None:
        self.servers: dict[Node, Any] = {{"home": None, "one": ONE, "two": TWO}[name]: s for name, s in servers.items()}
        self.received: list[tuple[Node, list[str]]] = []

    def request(
        self, cluster: Cluster, *requests: NodeRequest, wall_s: Callable[[], float] = lambda: 0.0
    ) -> list[NodeResponse]:
        """Route the requests."""
        flow = route(cluster, requests, wall_s=wall_s)
        return run_node_flow(flow, lambda sent: {node: self._reply(node, commands) for node, commands in sent.items()})

    def _reply(self, node: Node, commands: Sequence[Command]) -> list[Any] | StoreUnavailable:
        names = [str(command[0]) for command in commands]
        self.received.append((node, names))
        server = self.servers.get(node, StoreUnavailable("gone"))
        if callable(server):
            server = server(commands)
        if isinstance(server, StoreUnavailable):
            return server
        return [server[name] for name in names]


def test_the_slot_map_is_read_once() -> None:
    """The first batch fetches the slot map as well, and the next batch goes to the right node at once."""
    network = Network(home={"EVALSHA": moved(ONE), "CLUSTER": slot_map(ONE)}, one={"EVALSHA": "applied"})
    cluster = Cluster(HOME)
    assert network.request(cluster, BATCH) == [NodeResponse(["applied"], ONE)]
    assert network.received == [(None, ["CLUSTER", "EVALSHA"]), (ONE, ["EVALSHA"])]
    network.received.clear()
    assert network.request(cluster, BATCH) == [NodeResponse(["applied"], ONE)]
    assert network.received == [(ONE, ["EVALSHA"])]


def test_an_ask_holds_for_one_command() -> None:
    """An ASK sends one command to the new node, after ASKING; the next command goes to the old node again."""
    network = Network(
        home={"CLUSTER": slot_map(ONE)},
        one={"EVALSHA": moved(TWO, asking=True)},
        two={"ASKING": "OK", "EVALSHA": "applied"},
    )
    cluster = Cluster(HOME)
    cluster.learn(slot_map(ONE), None)
    for _ in range(2):
        network.received.clear()
        assert network.request(cluster, BATCH) == [NodeResponse(["applied"], TWO)]
        assert network.received == [(ONE, ["EVALSHA"]), (TWO, ["ASKING", "EVALSHA"])]


def test_a_node_that_does_not_know_its_host_has_the_host_that_was_used() -> None:
    """A node that does not know its own host leaves it out of a redirect: the host is that of the node that replied."""
    cluster = Cluster(HOME)
    assert cluster.follow(KeysElsewhere("MOVED", SLOT, "", 7005, asking=False), None) == (HOME[0], 7005)
    assert cluster.follow(KeysElsewhere("MOVED", SLOT, "?", 7005, asking=False), ONE) == (ONE[0], 7005)
    assert cluster.follow(KeysElsewhere("MOVED", SLOT, *HOME, asking=False), ONE) is None
    cluster.learn([[0, 16383, [None, 7006, b"id"]]], TWO)
    assert cluster.masters == [(TWO[0], 7006)]


def test_another_node_names_the_new_master() -> None:
    """If a node fails, another one is asked for the slot map, and the batch goes to the new master."""
    network = Network(home={"CLUSTER": slot_map(TWO)}, two={"EVALSHA": "duplicate"})
    cluster = Cluster(HOME)
    cluster.learn(slot_map(ONE), None)
    assert network.request(cluster, BATCH) == [NodeResponse(["duplicate"], TWO)]
    assert [node for node, _ in network.received] == [ONE, None, TWO]


@pytest.mark.parametrize("sent", [True, False])
def test_a_node_that_fails_before_the_failover(sent: bool) -> None:
    """The flush fails and says whether the batch may have been applied; the next one asks other nodes first."""
    network = Network(
        home={"CLUSTER": slot_map(ONE)}, one=StoreUnavailable("broken", sent=sent), two={"EVALSHA": "applied"}
    )
    cluster = Cluster(HOME)
    cluster.learn(slot_map(ONE), None)
    with pytest.raises(StoreUnavailable, match="broken") as caught:
        network.request(cluster, BATCH)
    assert caught.value.sent == sent
    network.servers[None] = {"CLUSTER": slot_map(TWO)}
    network.received.clear()
    network.request(cluster, BATCH)
    assert [node for node, _ in network.received] == [None, TWO]


def test_an_unreachable_node_is_tried_again() -> None:
    """After an outage of the whole cluster, a node that is back is found, however many others stay away."""
    network = Network()
    cluster = Cluster(HOME)
    cluster.learn(slot_map(ONE, TWO, *[("10.0.0.3", port) for port in range(5)]), None)
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            network.request(cluster, BATCH)
    network.servers = {TWO: {"CLUSTER": slot_map(TWO), "EVALSHA": "applied"}}
    for _ in range(4):
        with contextlib.suppress(StoreUnavailable):
            assert network.request(cluster, BATCH) == [NodeResponse(["applied"], TWO)]
            break
    else:
        pytest.fail("it was not found")


def test_a_pinned_request_goes_to_its_node() -> None:
    """Each node is asked for its own clock, also the first one, and also after it was unreachable."""
    cluster = Cluster(HOME)
    cluster.learn(slot_map(HOME, ONE, TWO), None)
    cluster.mark_unreachable(None)
    cluster.mark_reachable(None)
    assert [cluster.node_of(NodeRequest((("TIME",),), node=node, pinned=True)) for node in (None, TWO)] == [None, TWO]


def test_a_redirect_does_not_hide_that_a_batch_was_sent() -> None:
    """A batch that one node did not answer, and another one refused, may have been applied."""
    redirect = moved(TWO)
    redirect.sent = True
    network = Network(home={"CLUSTER": slot_map(ONE)}, one={"EVALSHA": redirect}, two=StoreUnavailable("refused"))
    cluster = Cluster(HOME)
    cluster.learn(slot_map(ONE), None)
    with pytest.raises(StoreUnavailable) as caught:
        network.request(cluster, BATCH)
    assert caught.value.sent


def test_a_node_that_hangs_is_not_asked_first_again() -> None:
    """After a flush that ran out of time at one node, the next flush asks another node for the slot map first."""
    cluster = Cluster(HOME)
    cluster.learn(slot_map(ONE, TWO), None)
    flow = route(cluster, [BATCH])
    assert list(next(flow)) == [ONE]
    flow.close()
    network = Network(home={"CLUSTER": slot_map(TWO)}, two={"EVALSHA": "applied"})
    assert network.request(cluster, BATCH) == [NodeResponse(["applied"], TWO)]
    assert [node for node, _ in network.received] == [None, TWO]


def test_redirects_in_a_circle_end() -> None:
    """Two nodes that redirect to each other cost a bounded number of round trips."""
    network = Network(one={"EVALSHA": moved(TWO)}, two={"EVALSHA": moved(ONE)})
    cluster = Cluster(HOME)
    cluster.learn(slot_map(ONE), None)
    with pytest.raises(StoreUnavailable, match="do not agree") as caught:
        network.request(cluster, BATCH)
    assert not caught.value.sent
    assert len(network.received) < 10


def test_nothing_is_sent_on_after_a_long_sleep() -> None:
    """An instance that was frozen after a redirect leaves the batch to a later flush."""
    clock = iter([0.0, 0.0, 90.0])
    network = Network(home={"EVALSHA": moved(ONE), "CLUSTER": slot_map(ONE)}, one={"EVALSHA": "applied"})
    with pytest.raises(StoreUnavailable, match="no time left"):
        network.request(Cluster(HOME), BATCH, wall_s=lambda: next(clock))
    assert [node for node, _ in network.received] == [None]


def test_a_flush_waits_for_one_node_only() -> None:
    """If no node answers, a flush takes its time limit once, and not again for each node."""
    now_s = 0.0

    def time_out(_: Sequence[Command]) -> StoreUnavailable:
        nonlocal now_s
        now_s += 61.0
        return StoreUnavailable("Redis did not answer in time", sent=True)

    network = Network(home=time_out, one=time_out, two=time_out)
    cluster = Cluster(HOME, [ONE, TWO])
    for _ in range(3):
        network.received.clear()
        with pytest.raises(StoreUnavailable):
            network.request(cluster, BATCH, wall_s=lambda: now_s)
        assert len(network.received) == 1


def test_redirects_are_enough_without_the_slot_map() -> None:
    """For a user who may not run CLUSTER SLOTS, batches follow the redirects, also to a new master."""
    refused = StoreRefused("NOPERM")
    network = Network(home={"EVALSHA": moved(ONE), "CLUSTER": refused}, one={"EVALSHA": "applied"})
    cluster = Cluster(HOME)
    assert network.request(cluster, BATCH) == [NodeResponse(["applied"], ONE)]
    network.servers = {None: {"EVALSHA": moved(TWO), "CLUSTER": refused}, TWO: {"EVALSHA": "duplicate"}}
    assert network.request(cluster, BATCH) == [NodeResponse(["duplicate"], TWO)]


def test_a_transaction_stays_together() -> None:
    """A redirected transaction is sent again as a whole, and fails while its keys are being moved."""
    deletion = NodeRequest((("MULTI",), ("UNLINK", KEY), ("EXEC",)))
    network = Network(
        home={"MULTI": "OK", "UNLINK": moved(ONE), "EXEC": StoreRefused("EXECABORT"), "CLUSTER": slot_map(ONE)},
        one={"MULTI": "OK", "UNLINK": "QUEUED", "EXEC": [1]},
    )
    assert network.request(Cluster(HOME), deletion) == [NodeResponse(["OK", "QUEUED", [1]], ONE)]
    network.servers[ONE] = {"MULTI": "OK", "UNLINK": moved(TWO, asking=True), "EXEC": StoreRefused("EXECABORT")}
    cluster = Cluster(HOME)
    cluster.learn(slot_map(ONE), None)
    with pytest.raises(StoreUnavailable, match="being moved"):
        network.request(cluster, deletion)
