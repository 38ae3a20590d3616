"""Which node of a cluster is asked what, decided without a network: redirections, nodes that are gone, frozen time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.errors import KeysElsewhere, StoreRefused, StoreUnavailable
from lib.kairo_metrics.store.cluster import Cluster, NodeResponse, route
from lib.kairo_metrics.store.command_flow import Command
from lib.kairo_metrics.store.connection import AsyncNodeConnection, NodeConnection, hash_slot
from lib.kairo_metrics.store.node_request import Node, NodeRequest

HOME = ("home.example.org", 7000)
ONE, TWO = ("10.0.0.1", 7001), ("10.0.0.2", 7002)
KEY = "kairo:v1:{development/0}:families"
SLOT = hash_slot(KEY.encode())
BATCH = NodeRequest((("EVALSHA", "0f", 1, KEY),))
Server = Callable[[Node, Sequence[Command]], list[Any] | StoreUnavailable]


def moved(to: Node, *, asking: bool = False) -> KeysElsewhere:
    """Make a redirection."""
    host, port = to or HOME
    return KeysElsewhere("MOVED", SLOT, host, port, asking=asking)


def whole(owner: tuple[str, int], *others: tuple[str, int]) -> list[Any]:
    """Make a reply to CLUSTER SLOTS."""
    return [[0, 16383, *([host.encode(), port, b"id"] for host, port in (owner, *others))]]


class Network:
    """Answers trips as it is told to, and keeps who was asked what."""

    def __init__(self, **servers: Any) -> None:
        self.servers: dict[Node, Any] = {{"home": None, "one": ONE, "two": TWO}[name]: s for name, s in servers.items()}
        self.asked: list[tuple[Node, list[str]]] = []

    def ask(
        self, cluster: Cluster, *questions: NodeRequest, wall_s: Callable[[], float] = lambda: 0.0
    ) -> list[NodeResponse]:
        """Drive the questions."""
        routing = route(cluster, questions, wall_s=wall_s)
        try:
            trip = next(routing)
            while True:
                trip = routing.send({node: self._visit(node, commands) for node, commands in trip.items()})
        except StopIteration as stop:
            answers: list[NodeResponse] = stop.value
            return answers

    def _visit(self, node: Node, commands: Sequence[Command]) -> list[Any] | StoreUnavailable:
        names = [str(command[0]) for command in commands]
        self.asked.append((node, names))
        server = self.servers.get(node, StoreUnavailable("gone"))
        if callable(server):
            server = server(commands)
        if isinstance(server, StoreUnavailable):
            return server
        return [server[name] for name in names]


def test_a_moved_slot_is_asked_for_once() -> None:
    """The map comes along with the batch, and the next batch goes to the right node at once."""
    network = Network(home={"EVALSHA": moved(ONE), "CLUSTER": whole(ONE)}, one={"EVALSHA": "applied"})
    cluster = Cluster(HOME)
    assert network.ask(cluster, BATCH) == [NodeResponse(["applied"], ONE)]
    assert network.asked == [(None, ["CLUSTER", "EVALSHA"]), (ONE, ["EVALSHA"])]
    network.asked.clear()
    assert network.ask(cluster, BATCH) == [NodeResponse(["applied"], ONE)]
    assert network.asked == [(ONE, ["EVALSHA"])]


def test_an_ask_holds_for_one_command() -> None:
    """What is on its way is asked for at its goal with ASKING, and the next time at its source again."""
    network = Network(
        home={"CLUSTER": whole(ONE)},
        one={"EVALSHA": moved(TWO, asking=True)},
        two={"ASKING": "OK", "EVALSHA": "applied"},
    )
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE), None)
    for _ in range(2):
        network.asked.clear()
        assert network.ask(cluster, BATCH) == [NodeResponse(["applied"], TWO)]
        assert network.asked == [(ONE, ["EVALSHA"]), (TWO, ["ASKING", "EVALSHA"])]


def test_a_node_without_a_name_is_where_it_was_reached() -> None:
    """A node that does not know its own host leaves it out: it is the one that was asked."""
    cluster = Cluster(HOME)
    assert cluster.move(KeysElsewhere("MOVED", SLOT, "", 7005, asking=False), None) == (HOME[0], 7005)
    assert cluster.move(KeysElsewhere("MOVED", SLOT, "?", 7005, asking=False), ONE) == (ONE[0], 7005)
    assert cluster.move(KeysElsewhere("MOVED", SLOT, *HOME, asking=False), ONE) is None
    cluster.learn([[0, 16383, [None, 7006, b"id"]]], TWO)
    assert cluster.masters == [(TWO[0], 7006)]


def test_others_know_who_took_over() -> None:
    """A node that is gone is asked about elsewhere, and the batch goes to whoever holds the slot now."""
    network = Network(home={"CLUSTER": whole(TWO)}, two={"EVALSHA": "duplicate"})
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE), None)
    assert network.ask(cluster, BATCH) == [NodeResponse(["duplicate"], TWO)]
    assert [node for node, _ in network.asked] == [ONE, None, TWO]


@pytest.mark.parametrize("sent", [True, False])
def test_a_node_that_is_gone_before_anybody_took_over(sent: bool) -> None:
    """Then the flush fails, says whether the batch may have been applied, and the next one asks others first."""
    network = Network(
        home={"CLUSTER": whole(ONE)}, one=StoreUnavailable("broken", sent=sent), two={"EVALSHA": "applied"}
    )
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE), None)
    with pytest.raises(StoreUnavailable, match="broken") as caught:
        network.ask(cluster, BATCH)
    assert caught.value.sent == sent
    network.servers[None] = {"CLUSTER": whole(TWO)}
    network.asked.clear()
    network.ask(cluster, BATCH)
    assert [node for node, _ in network.asked] == [None, TWO]


def test_nobody_is_suspect_for_ever() -> None:
    """After a cluster that was down as a whole, those that are back are found, however many are not."""
    network = Network()
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE, TWO, *[("10.0.0.3", port) for port in range(5)]), None)
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            network.ask(cluster, BATCH)
    network.servers = {TWO: {"CLUSTER": whole(TWO), "EVALSHA": "applied"}}
    for _ in range(4):
        with contextlib.suppress(StoreUnavailable):
            assert network.ask(cluster, BATCH) == [NodeResponse(["applied"], TWO)]
            break
    else:
        pytest.fail("it was not found")


def test_what_is_asked_of_one_node_is_not_asked_of_another() -> None:
    """The first node, too, is asked for its own clock, also after it was away for a while."""
    cluster = Cluster(HOME)
    cluster.learn(whole(HOME, ONE, TWO), None)
    cluster.suspect(None)
    cluster.trust(None)
    assert [cluster.node_of(NodeRequest((("TIME",),), at=node, pinned=True)) for node in (None, TWO)] == [None, TWO]


def test_doubt_survives_a_redirection() -> None:
    """A batch that was sent, unanswered, to one node, and that another one could not take, may have been applied."""
    told = moved(TWO)
    told.sent = True
    network = Network(home={"CLUSTER": whole(ONE)}, one={"EVALSHA": told}, two=StoreUnavailable("refused"))
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE), None)
    with pytest.raises(StoreUnavailable) as caught:
        network.ask(cluster, BATCH)
    assert caught.value.sent


def test_a_node_that_hangs_is_not_asked_first_again() -> None:
    """A flush whose time ran out leaves behind whom it waited for: the next one looks around before it waits there."""
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE, TWO), None)
    routing = route(cluster, [BATCH])
    assert list(next(routing)) == [ONE]
    routing.close()
    network = Network(home={"CLUSTER": whole(TWO)}, two={"EVALSHA": "applied"})
    assert network.ask(cluster, BATCH) == [NodeResponse(["applied"], TWO)]
    assert [node for node, _ in network.asked] == [None, TWO]


def test_nodes_that_send_each_other_are_left() -> None:
    """Two nodes that each say it is the other one cost a bounded number of trips."""
    network = Network(one={"EVALSHA": moved(TWO)}, two={"EVALSHA": moved(ONE)})
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE), None)
    with pytest.raises(StoreUnavailable, match="do not agree") as caught:
        network.ask(cluster, BATCH)
    assert not caught.value.sent
    assert len(network.asked) < 10


def test_nothing_is_sent_on_after_a_long_sleep() -> None:
    """An instance that was frozen between the redirection and the next node lets a later flush decide."""
    clock = iter([0.0, 0.0, 90.0])
    network = Network(home={"EVALSHA": moved(ONE), "CLUSTER": whole(ONE)}, one={"EVALSHA": "applied"})
    with pytest.raises(StoreUnavailable, match="no time left"):
        network.ask(Cluster(HOME), BATCH, wall_s=lambda: next(clock))
    assert [node for node, _ in network.asked] == [None]


def test_who_has_waited_for_one_node_does_not_wait_for_others() -> None:
    """Where no node answers any more, a flush takes its budget once, and not again for each that might know more."""
    now_s = 0.0

    def time_out(_: Sequence[Command]) -> StoreUnavailable:
        nonlocal now_s
        now_s += 61.0
        return StoreUnavailable("Redis did not answer in time", sent=True)

    network = Network(home=time_out, one=time_out, two=time_out)
    cluster = Cluster(HOME, [ONE, TWO])
    for _ in range(3):
        network.asked.clear()
        with pytest.raises(StoreUnavailable):
            network.ask(cluster, BATCH, wall_s=lambda: now_s)
        assert len(network.asked) == 1


def test_without_the_right_to_ask_redirections_are_enough() -> None:
    """A user who may not ask for the map is led by the nodes, also to the one that took over."""
    refused = StoreRefused("NOPERM")
    network = Network(home={"EVALSHA": moved(ONE), "CLUSTER": refused}, one={"EVALSHA": "applied"})
    cluster = Cluster(HOME)
    assert network.ask(cluster, BATCH) == [NodeResponse(["applied"], ONE)]
    network.servers = {None: {"EVALSHA": moved(TWO), "CLUSTER": refused}, TWO: {"EVALSHA": "duplicate"}}
    assert network.ask(cluster, BATCH) == [NodeResponse(["duplicate"], TWO)]


def test_a_transaction_stays_together() -> None:
    """It is asked again as a whole, and not while its keys are on their way."""
    deletion = NodeRequest((("MULTI",), ("UNLINK", KEY), ("EXEC",)))
    network = Network(
        home={"MULTI": "OK", "UNLINK": moved(ONE), "EXEC": StoreRefused("EXECABORT"), "CLUSTER": whole(ONE)},
        one={"MULTI": "OK", "UNLINK": "QUEUED", "EXEC": [1]},
    )
    assert network.ask(Cluster(HOME), deletion) == [NodeResponse(["OK", "QUEUED", [1]], ONE)]
    network.servers[ONE] = {"MULTI": "OK", "UNLINK": moved(TWO, asking=True), "EXEC": StoreRefused("EXECABORT")}
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE), None)
    with pytest.raises(StoreUnavailable, match="on their way"):
        network.ask(cluster, deletion)


def test_a_cursor_is_good_where_it_was_given() -> None:
    """A hash that moved while it was read is read from its beginning at its new place, and then on from there."""
    cluster = Cluster(HOME)
    cluster.learn(whole(ONE), None)
    scan = ("HSCAN", KEY, b"42", "COUNT", 9)
    assert NodeRequest((scan,), cursor_of=ONE).commands_for(ONE) == (scan,)
    assert NodeRequest((scan,), cursor_of=ONE).commands_for(TWO) == (("HSCAN", KEY, b"0", "COUNT", 9),)


def test_another_node_is_reached_like_the_first() -> None:
    """Over TLS its certificate must be for the host that the cluster names; login and trust are the address' own."""
    url = "rediss://user:secret@home.example.org:7000?ssl_cert_reqs=required"
    for kind in (AsyncNodeConnection, NodeConnection):
        link: Any = kind(url, Settings(redis_url=url), ("other.example.org", 7001))
        connection = link._connection
        assert (connection.host, connection.port) == ("other.example.org", 7001)
        assert type(connection).__name__ == "SSLConnection"
        assert link._greeting == (("AUTH", "user", "secret"),)


def test_a_node_behind_a_unix_socket_leads_to_hosts() -> None:
    """Whoever reaches the first node by a socket reaches the others by their hosts."""
    link: Any = NodeConnection("unix:///run/redis.sock", Settings(), ONE)
    assert (type(link._connection).__name__, link._connection.host) == ("Connection", ONE[0])
