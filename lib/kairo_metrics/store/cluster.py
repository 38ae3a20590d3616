"""A Redis Cluster: which node holds which hash slots, and how its redirections are followed.

It is loaded with the first redirection: a server that is no cluster never sends one. Nothing here does input or output:
`route` yields which nodes to ask what, and is sent what they answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import KeysElsewhere, StoreError, StoreUnavailable
from .command_flow import Command
from .connection import hash_slot
from .node_request import Address, Node, NodeRequest, first_key
from .replies import mark_sent_before
from .scripts import SENT_AGAIN_WITHIN_S

__all__ = ["Cluster", "NodeResponse", "Replies", "RoundTrip", "Routing", "route"]

# To whom what is asked at once, and what came of it: replies in order, or why there are none.
RoundTrip = dict[Node, list[Command]]
Replies = dict[Node, list[Any] | StoreUnavailable]
Routing = Generator[RoundTrip, Replies, list["NodeResponse"]]

# One to where the slot was, one to where it is, and as many again for a node that is gone and a key on its way.
_MOST_TRIPS = 6
_MOST_WITNESSES = 2
_WHERE: Command = ("CLUSTER", "SLOTS")
# What a node says where it does not know the name under which it is reached.
_NAMELESS = frozenset({"", "?"})


@dataclass(frozen=True, slots=True)
class NodeResponse:
    """The replies to one question.

    Args:
        replies: in the order of its commands.
        by: the node that gave them.
    """

    replies: list[Any]
    by: Node


class Cluster:
    """What is known of a cluster's nodes: it is learned from their answers, and shared by all links of a store.

    Args:
        home: host and port of the server that the settings name; None for a Unix socket.
        seeds: other nodes that the settings name.
    """

    def __init__(self, home: Address | None, seeds: Sequence[Address] = ()) -> None:
        self._home = home
        self._named: tuple[Node, ...] = (None, *seeds)
        self._nodes: dict[Node, None] = dict.fromkeys(self._named)
        self._ranges: list[tuple[int, int, Node]] = []
        self._moved: dict[int, Node] = {}
        self._suspects: set[Node] = set()
        self.asked = False

    @property
    def masters(self) -> list[Node]:
        """The nodes that hold slots."""
        return list(dict.fromkeys(node for _, _, node in self._ranges))

    def node_of(self, request: NodeRequest) -> Node:
        """Return the node to ask; where nothing is known of the slot, one that will know."""
        if request.pinned:
            return request.at
        for command in request.commands:
            if (key := first_key(command)) is not None:
                slot = hash_slot(key)
                if slot in self._moved:
                    return self._moved[slot]
                for first, last, node in self._ranges:
                    if first <= slot <= last:
                        return node
        return next(iter(self.witnesses()), None)

    def move(self, redirection: KeysElsewhere, by: Node) -> Node:
        """Return where a redirection points to; a MOVED is remembered, an ASK holds for one command alone."""
        node = self._node(redirection.host, redirection.port, by)
        self._nodes.setdefault(node)
        if not redirection.asking:
            self._moved[redirection.slot] = node
        return node

    def learn(self, reply: Any, by: Node) -> None:
        """Read the reply to `CLUSTER SLOTS`; a user without the right to ask goes by redirections alone."""
        self.asked = True
        if isinstance(reply, StoreError) or not reply:
            self._moved = {slot: node for slot, node in self._moved.items() if node not in self._suspects}
            return
        ranges = []
        known = list(self._named)
        for first, last, *nodes in reply:
            told = [self._node(_text(host), port, by) for host, port, *_ in nodes]
            known += told
            ranges.append((first, last, told[0]))
        self._ranges, self._moved, self._nodes = ranges, {}, dict.fromkeys(known)

    def is_suspect(self, node: Node) -> bool:
        """Whether the node did not answer when it was asked last."""
        return node in self._suspects

    def suspect(self, *nodes: Node) -> None:
        """Remember that they did not answer: before they are asked again, others are asked who holds their slots."""
        self._suspects.update(nodes)
        for node in nodes:
            if node in self._nodes:  # at the end, so that in time each is asked again
                del self._nodes[node]
                self._nodes[node] = None

    def trust(self, node: Node) -> None:
        """Remember that it has answered."""
        self._suspects.discard(node)

    def witnesses(self) -> list[Node]:
        """Return whom to ask where slots are, the likeliest to answer first."""
        return sorted(self._nodes, key=self.is_suspect)

    def _node(self, host: str, port: int, by: Node) -> Node:
        if host in _NAMELESS:
            host = by[0] if by else (self._home[0] if self._home else "localhost")
        address = (host, port)
        return None if address == self._home else address


def route(
    cluster: Cluster,
    requests: Sequence[NodeRequest],
    *,
    doubtful: bool = False,
    limit_s: float = SENT_AGAIN_WITHIN_S,
    wall_s: Callable[[], float] = time.time,
) -> Routing:
    """Ask each question of the node that holds its keys, wherever that turns out to be.

    A redirection says that nothing was run, so what it answers is asked elsewhere. Where a node does not answer, others
    say who holds its slots now; if it still does, that is the end of it.

    Args:
        cluster: what is known of it, and what is learned. What is asked must be safe to send twice.
        questions: what to ask.
        doubtful: whether a node that did not answer may have run it already.
        limit_s: seconds after which nothing more is sent.
        wall_s: the wall clock, which goes on while an instance is frozen.

    Raises:
        StoreUnavailable: a node could not be asked.
    """
    is_late = _limit(limit_s, wall_s)
    answers: dict[int, NodeResponse] = {}
    detours: dict[int, Node] = {}
    failure: StoreUnavailable | None = None
    for _ in range(_MOST_TRIPS):
        nodes = {
            place: detours[place] if place in detours else cluster.node_of(request)
            for place, request in enumerate(requests)
            if place not in answers
        }
        if any(map(cluster.is_suspect, nodes.values())):
            yield from _look_around(cluster, is_late)
            nodes = {place: cluster.node_of(requests[place]) for place in nodes}
            detours = {}
            if failure is not None and any(map(cluster.is_suspect, nodes.values())):
                break
        if is_late():
            failure = failure or StoreUnavailable("there was no time left to ask the node that has the keys")
            break
        parts, failures = yield from _ask(cluster, requests, nodes, detours)
        doubtful = doubtful or any(failed.sent for failed in failures)
        failure = failures[0] if failures else None
        detours = {}
        for place, part in parts.items():
            redirections = [reply for reply in part if isinstance(reply, KeysElsewhere)]
            doubtful = doubtful or any(redirection.sent for redirection in redirections)
            if not redirections:
                answers[place] = NodeResponse(mark_sent_before(part, sent=doubtful), nodes[place])
                continue
            goal = cluster.move(redirections[0], nodes[place])
            if redirections[0].asking:
                detours[place] = goal
        if any(len(requests[place].commands) > 1 for place in detours):
            failure = StoreUnavailable(
                "the keys are on their way from one node of the cluster to another: try again later"
            )
            break
        if len(answers) == len(requests):
            return [answers[place] for place in range(len(requests))]
    failure = failure or StoreUnavailable("the nodes of the cluster do not agree on where the keys are")
    failure.sent = failure.sent or doubtful
    raise failure


def _limit(limit_s: float, wall_s: Callable[[], float]) -> Callable[[], bool]:
    begun_s = wall_s()
    return lambda: wall_s() - begun_s > limit_s


def _ask(
    cluster: Cluster, requests: Sequence[NodeRequest], nodes: Mapping[int, Node], detours: Mapping[int, Node]
) -> Generator[RoundTrip, Replies, tuple[dict[int, list[Any]], list[StoreUnavailable]]]:
    """Make one trip; return the replies to each question that has some, and why others have none."""
    trip: RoundTrip = {}
    spans: dict[int, tuple[int, int]] = {}
    # Whoever is asked first is asked for the map as well, once.
    guide = [next(iter(nodes.values()))] if not cluster.asked else []
    for node in guide:
        trip[node] = [_WHERE]
    for place, node in nodes.items():
        commands = trip.setdefault(node, [])
        if place in detours:
            commands.append(("ASKING",))
        asked = requests[place].commands_for(node)
        spans[place] = len(commands), len(commands) + len(asked)
        commands += asked
    replies = yield from _travel(cluster, trip)
    parts = {}
    for place, node in nodes.items():
        got = replies[node]
        if not isinstance(got, StoreUnavailable):
            parts[place] = got[slice(*spans[place])]
    for node in guide:
        if isinstance(got := replies[node], list):
            cluster.learn(got[0], node)
    return parts, [got for got in replies.values() if isinstance(got, StoreUnavailable)]


def _look_around(cluster: Cluster, is_late: Callable[[], bool]) -> Generator[RoundTrip, Replies, None]:
    """Ask who holds which slots, of nodes that answered when they were asked last; each may take all the time left."""
    for node in cluster.witnesses()[:_MOST_WITNESSES]:
        if is_late():
            return
        replies = yield from _travel(cluster, {node: [_WHERE]})
        if isinstance(got := replies[node], list):
            cluster.learn(got[0], node)
            return


def _travel(cluster: Cluster, trip: RoundTrip) -> Generator[RoundTrip, Replies, Replies]:
    try:
        replies = yield trip
    except GeneratorExit:
        # Time ran out: some of them may be gone without a word.
        cluster.suspect(*trip)
        raise
    for node, got in replies.items():
        if isinstance(got, StoreUnavailable):
            cluster.suspect(node)
        else:
            cluster.trust(node)
    return replies


def _text(host: Any) -> str:
    return host.decode() if isinstance(host, bytes) else ""
