"""A Redis Cluster: which node holds which hash slots, and how redirects are followed.

The first redirect loads this module; a server that is in no cluster never sends one. There is no I/O here: `route` is a
node flow.

Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import KeysElsewhere, StoreError, StoreUnavailable
from ..command_flow import Command
from ..replies import mark_sent_before
from ..script_call import RESEND_LIMIT_S
from .connection import hash_slot
from .node_flow import NodeCommands, NodeFlow, NodeReplies
from .node_request import Address, Node, NodeRequest, first_key

__all__ = ["Cluster", "NodeResponse", "route"]

# One to the node that had the slot, one to the node that has it, and as many again for a node that has failed and for a
# key that is being moved.
_MAX_ROUND_TRIPS = 6
# How many nodes are asked for the slot map after a failure.
_MAX_MAP_SOURCES = 2
_CLUSTER_SLOTS: Command = ("CLUSTER", "SLOTS")
# The host in a reply of a node that does not know its own host name.
_UNKNOWN_HOSTS = frozenset({"", "?"})


@dataclass(frozen=True, slots=True)
class NodeResponse:
    """The replies to one request.

    Args:
        replies: in the order of its commands.
        node: the node that gave them.
    """

    replies: list[Any]
    node: Node


class Cluster:
    """The slot map and the nodes of a cluster, learned from their replies; all clients of an address share it.

    Args:
        address: host and port of the server that the settings name; None for a Unix socket.
        seeds: further nodes that the settings name.
    """

    def __init__(self, address: Address | None, seeds: Sequence[Address] = ()) -> None:
        self._address = address
        self._seeds: tuple[Node, ...] = (None, *seeds)
        self._nodes: dict[Node, None] = dict.fromkeys(self._seeds)
        self._ranges: list[tuple[int, int, Node]] = []
        self._moved: dict[int, Node] = {}
        self._unreachable: set[Node] = set()
        self.has_asked_for_map = False

    @property
    def masters(self) -> list[Node]:
        """The nodes that hold slots."""
        return list(dict.fromkeys(node for _, _, node in self._ranges))

    def node_of(self, request: NodeRequest) -> Node:
        """Return the node for a request; if its slot is not known, any node, which will redirect it."""
        if request.pinned:
            return request.node
        for command in request.commands:
            if (key := first_key(command)) is not None:
                slot = hash_slot(key)
                if slot in self._moved:
                    return self._moved[slot]
                for first, last, node in self._ranges:
                    if first <= slot <= last:
                        return node
        return next(iter(self.known_nodes()), None)

    def follow(self, redirect: KeysElsewhere, source: Node) -> Node:
        """Return the node that a redirect points to; a MOVED is remembered, an ASK holds for one command only.

        Args:
            redirect: the reply.
            source: the node that sent it.
        """
        node = self._node(redirect.host, redirect.port, source)
        self._nodes.setdefault(node)
        if not redirect.asking:
            self._moved[redirect.slot] = node
        return node

    def learn(self, reply: Any, source: Node) -> None:
        """Read the slot map in a reply to `CLUSTER SLOTS`; if the user may not ask for it, redirects are enough.

        Args:
            reply: the slot ranges with their nodes, or an error.
            source: the node that sent it.
        """
        self.has_asked_for_map = True
        if isinstance(reply, StoreError) or not reply:
            self._moved = {slot: node for slot, node in self._moved.items() if node not in self._unreachable}
            return
        ranges = []
        known = list(self._seeds)
        for first, last, *entries in reply:
            master, *replicas = [self._node(_host(host), port, source) for host, port, *_ in entries]
            known += [master, *replicas]
            ranges.append((first, last, master))
        self._ranges, self._moved, self._nodes = ranges, {}, dict.fromkeys(known)

    def is_unreachable(self, node: Node) -> bool:
        """Whether the node did not answer the last time."""
        return node in self._unreachable

    def mark_unreachable(self, *nodes: Node) -> None:
        """Record that nodes did not answer; before the next request to them, other nodes are asked for the map."""
        self._unreachable.update(nodes)
        for node in nodes:
            if node in self._nodes:  # at the end, so that each node is asked again in time
                del self._nodes[node]
                self._nodes[node] = None

    def mark_reachable(self, node: Node) -> None:
        """Record that a node answered."""
        self._unreachable.discard(node)

    def known_nodes(self) -> list[Node]:
        """Return all nodes; those that answered the last time come first."""
        return sorted(self._nodes, key=self.is_unreachable)

    def _node(self, host: str, port: int, source: Node) -> Node:
        if host in _UNKNOWN_HOSTS:
            host = source[0] if source else (self._address[0] if self._address else "localhost")
        address = (host, port)
        return None if address == self._address else address


def route(
    cluster: Cluster,
    requests: Sequence[NodeRequest],
    *,
    sent: bool = False,
    limit_s: float = RESEND_LIMIT_S,
    wall_s: Callable[[], float] = time.time,
) -> NodeFlow[list[NodeResponse]]:
    """Send each request to the node that holds its keys, and return the responses in order.

    A redirected command was not run: it is sent to the node that the redirect names. If a node does not answer, other
    nodes are asked for the slot map; if it still names the same node, the call fails.

    Args:
        cluster: its slot map, which is corrected on the way.
        requests: what to send; it must be safe to send twice.
        sent: whether a node that did not answer may already have run it.
        limit_s: seconds after which nothing more is sent.
        wall_s: the wall clock, in seconds, which goes on while an instance is frozen.

    Raises:
        StoreUnavailable: a node could not be reached.
    """
    is_late = _timer(limit_s, wall_s)
    responses: dict[int, NodeResponse] = {}
    asking: dict[int, Node] = {}  # requests that an ASK redirected, with the node to send them to
    failure: StoreUnavailable | None = None
    for _ in range(_MAX_ROUND_TRIPS):
        nodes = {
            index: asking[index] if index in asking else cluster.node_of(request)
            for index, request in enumerate(requests)
            if index not in responses
        }
        if any(map(cluster.is_unreachable, nodes.values())):
            yield from _refresh_map(cluster, is_late)
            nodes = {index: cluster.node_of(requests[index]) for index in nodes}
            asking = {}
            if failure is not None and any(map(cluster.is_unreachable, nodes.values())):
                break
        if is_late():
            failure = failure or StoreUnavailable("there was no time left to ask the node that has the keys")
            break
        replies, failures = yield from _send(cluster, requests, nodes, asking)
        sent = sent or any(failed.sent for failed in failures)
        failure = failures[0] if failures else None
        asking = {}
        for index, own in replies.items():
            redirects = [reply for reply in own if isinstance(reply, KeysElsewhere)]
            sent = sent or any(redirect.sent for redirect in redirects)
            if not redirects:
                responses[index] = NodeResponse(mark_sent_before(own, sent=sent), nodes[index])
                continue
            target = cluster.follow(redirects[0], nodes[index])
            if redirects[0].asking:
                asking[index] = target
        if any(len(requests[index].commands) > 1 for index in asking):
            failure = StoreUnavailable(
                "the keys are being moved from one node of the cluster to another: try again later"
            )
            break
        if len(responses) == len(requests):
            return [responses[index] for index in range(len(requests))]
    failure = failure or StoreUnavailable("the nodes of the cluster do not agree on where the keys are")
    failure.sent = failure.sent or sent
    raise failure


def _timer(limit_s: float, wall_s: Callable[[], float]) -> Callable[[], bool]:
    start_s = wall_s()
    return lambda: wall_s() - start_s > limit_s


def _send(
    cluster: Cluster, requests: Sequence[NodeRequest], nodes: Mapping[int, Node], asking: Mapping[int, Node]
) -> NodeFlow[tuple[dict[int, list[Any]], list[StoreUnavailable]]]:
    """Send requests in one round trip; return the replies to each that was answered, and the errors of other nodes."""
    commands: NodeCommands = {}
    # The first node is asked for the slot map as well, once.
    map_source = [] if cluster.has_asked_for_map else [next(iter(nodes.values()))]
    for node in map_source:
        commands[node] = [_CLUSTER_SLOTS]
    spans: dict[int, slice] = {}
    for index, node in nodes.items():
        to_node = commands.setdefault(node, [])
        if index in asking:
            to_node.append(("ASKING",))
        start = len(to_node)
        to_node += requests[index].commands_for(node)
        spans[index] = slice(start, len(to_node))
    replies = yield from _exchange(cluster, commands)
    answered = {node: reply for node, reply in replies.items() if not isinstance(reply, StoreUnavailable)}
    for node in map_source:
        if node in answered:
            cluster.learn(answered[node][0], node)
    own = {index: answered[node][spans[index]] for index, node in nodes.items() if node in answered}
    return own, [reply for reply in replies.values() if isinstance(reply, StoreUnavailable)]


def _refresh_map(cluster: Cluster, is_late: Callable[[], bool]) -> NodeFlow[None]:
    """Ask nodes for the slot map until one answers; each may take all the time that is left."""
    for node in cluster.known_nodes()[:_MAX_MAP_SOURCES]:
        if is_late():
            return
        replies = (yield from _exchange(cluster, {node: [_CLUSTER_SLOTS]}))[node]
        if not isinstance(replies, StoreUnavailable):
            cluster.learn(replies[0], node)
            return


def _exchange(cluster: Cluster, commands: NodeCommands) -> NodeFlow[NodeReplies]:
    """Send the commands and record which nodes answered."""
    try:
        replies = yield commands
    except GeneratorExit:
        # The caller's time ran out: some of these nodes may hang.
        cluster.mark_unreachable(*commands)
        raise
    for node, reply in replies.items():
        if isinstance(reply, StoreUnavailable):
            cluster.mark_unreachable(node)
        else:
            cluster.mark_reachable(node)
    return replies


def _host(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else ""
