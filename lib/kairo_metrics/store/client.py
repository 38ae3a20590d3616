"""Links: what a task or a thread has borrowed, with a connection to every node that it has asked."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import KeysElsewhere, StoreError, StoreRefused, StoreUnavailable
from .command_flow import Command
from .connection import AsyncNodeConnection, NodeConnection
from .keys import Keys
from .node_request import Node, NodeRequest
from .scripts import SENT_AGAIN_WITHIN_S
from .topology import Topology

if TYPE_CHECKING:
    from .cluster import NodeResponse, Replies, RoundTrip

__all__ = ["AsyncClient", "Client", "NodeClient"]

T = TypeVar("T")
# Of so many shards, some are elsewhere if there is an elsewhere.
_PROBED = 64


class AsyncClient:
    """A connection to each node in use by one task: to one server, unless it turns out to be a cluster."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._nodes: dict[Node, AsyncNodeConnection] = {}

    async def call(self, *commands: Command) -> list[Any]:
        """See `AsyncClient.call`. What is sent must be safe to send twice."""
        if self.topology.cluster is None:
            await self._find_home()
            replies = await (await self._connection(None)).call(*commands)
            if (redirection := _redirection(replies)) is None:
                return replies
            self.topology.known_cluster().move(redirection, None)
            answers = await self.ask(_questions(commands), doubtful=redirection.sent)
        else:
            answers = await self.ask(_questions(commands))
        return [reply for answer in answers for reply in answer.replies]

    async def ask(self, requests: Sequence[NodeRequest], *, doubtful: bool = False) -> list[NodeResponse]:
        """Ask each question of the node of a cluster that holds its keys."""
        from .cluster import route

        return await self._hold(route(self.topology.known_cluster(), requests, doubtful=doubtful))

    async def send(self, requests: Sequence[NodeRequest]) -> list[Node]:
        """Send questions of one command each, to be answered by `receive`; return where each went."""
        await self._find_home()
        cluster = self.topology.cluster
        goals = [cluster.node_of(request) if cluster else None for request in requests]
        for node in dict.fromkeys(goals):
            asked = [q.commands_for(node) for q, goal in zip(requests, goals, strict=True) if goal == node]
            await (await self._connection(node)).send(*(command for commands in asked for command in commands))
        return goals

    async def receive(self, requests: Sequence[NodeRequest], goals: Sequence[Node]) -> list[tuple[Any, Node]]:
        """Return the reply to each question, and the node that gave it."""
        found = [(await (await self._connection(node)).receive(), node) for node in goals]
        moved = [place for place, (reply, _) in enumerate(found) if isinstance(reply, KeysElsewhere)]
        for place in moved:
            self.topology.known_cluster().move(*found[place])
        if moved:
            answers = await self.ask([requests[place] for place in moved])
            for place, answer in zip(moved, answers, strict=True):
                found[place] = answer.replies[0], answer.by
        return found

    async def settle(self) -> None:
        """Close the connections that replies are due on: the next user would take them for its own."""
        for connection in self._nodes.values():
            await connection.settle()

    async def close(self) -> None:
        """Close all; the next use opens them again."""
        for connection in self._nodes.values():
            await connection.close(wait=True)

    async def _find_home(self) -> None:
        """Where sentinels know the server, ask them before each new connection: it may be another one since."""
        home = self._nodes.get(None)
        if self.topology.sentinels is not None and (home is None or not home.is_open):
            from .sentinel import find

            goal = await self._hold(find(self.topology.sentinels))
            self._nodes[None] = await self._made(None, goal)

    async def _hold(self, routing: Generator[RoundTrip, Replies, T]) -> T:
        with closing(routing):
            try:
                trip = next(routing)
                while True:
                    trip = routing.send(await self._travel(trip))
            except StopIteration as stop:
                result: T = stop.value
                return result

    async def _travel(self, trip: RoundTrip) -> Replies:
        async def visit(node: Node, commands: Sequence[Command]) -> list[Any] | StoreUnavailable:
            try:
                return await (await self._connection(node)).call(*commands)
            except StoreUnavailable as err:
                return err

        if len(trip) == 1:
            [(node, commands)] = trip.items()
            return {node: await visit(node, commands)}
        # Each comes to its end, also when one fails: what is under way on a connection belongs to nobody else.
        found = await asyncio.gather(
            *(visit(node, commands) for node, commands in trip.items()), return_exceptions=True
        )
        replies: Replies = {}
        for node, reply in zip(trip, found, strict=True):
            if isinstance(reply, BaseException) and not isinstance(reply, StoreUnavailable):
                raise reply
            replies[node] = reply
        return replies

    async def _connection(self, node: Node) -> AsyncNodeConnection:
        if node not in self._nodes:
            self._nodes[node] = await self._made(node, node)
        return self._nodes[node]

    async def _made(self, node: Node, goal: Node) -> AsyncNodeConnection:
        # To read certificates must not hold up other coroutines.
        return await asyncio.to_thread(AsyncNodeConnection, self.topology.url_of(node), self.topology.settings, goal)


class Client:
    """The same for a thread: only the transport differs."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._nodes: dict[Node, NodeConnection] = {}

    def call(self, *commands: Command) -> list[Any]:
        """See `SyncLink.call`. What is sent must be safe to send twice."""
        if self._topology.cluster is None:
            self._find_home()
            replies = self._connection(None).call(*commands)
            if (redirection := _redirection(replies)) is None:
                return replies
            self._topology.known_cluster().move(redirection, None)
            answers = self._ask(_questions(commands), doubtful=redirection.sent)
        else:
            answers = self._ask(_questions(commands))
        return [reply for answer in answers for reply in answer.replies]

    @property
    def is_cluster(self) -> bool:
        """Whether it has turned out to be one."""
        return self._topology.cluster is not None

    def parts(self) -> list[NodeClient]:
        """Return links whose keys together are all: to each master of a cluster, or to the one server.

        Raises:
            StoreError: nobody could be asked.
        """
        [reply] = self.call(("CLUSTER", "SLOTS"))
        if not isinstance(reply, StoreError):
            cluster = self._topology.known_cluster()
            cluster.learn(reply, None)
            return [NodeClient(self, node) for node in cluster.masters]
        if "NOPERM" in str(reply) or "no permissions" in str(reply):
            keys = [Keys(self._topology.settings.namespace, shard).probe for shard in range(_PROBED)]
            told = self._connection(None).call(*(("HLEN", key) for key in keys))
            if _redirection(told) is not None:
                raise StoreRefused(f"this is a cluster, and the user may not ask for its nodes: {reply}")
        return [NodeClient(self, None)]

    def close(self) -> None:
        """Close; the next use opens it again."""
        for connection in self._nodes.values():
            connection.close()

    def call_at(self, node: Node, *commands: Command) -> list[Any]:
        """Ask one node, wherever the keys are."""
        return self._connection(node).call(*commands)

    def _ask(self, requests: Sequence[NodeRequest], *, doubtful: bool = False) -> list[NodeResponse]:
        from .cluster import route

        # A node that is gone without a word takes all the time that there is; the next attempt begins elsewhere.
        limit_s = min(SENT_AGAIN_WITHIN_S, self._topology.settings.flush_budget_ms / 1000)
        return self._hold(route(self._topology.known_cluster(), requests, doubtful=doubtful, limit_s=limit_s))

    def _find_home(self) -> None:
        home = self._nodes.get(None)
        if self._topology.sentinels is not None and (home is None or not home.is_open):
            from .sentinel import find

            goal = self._hold(find(self._topology.sentinels))
            self._nodes[None] = NodeConnection(self._topology.url, self._topology.settings, goal)

    def _hold(self, routing: Generator[RoundTrip, Replies, T]) -> T:
        with closing(routing):
            try:
                trip = next(routing)
                while True:
                    trip = routing.send({node: self._visit(node, commands) for node, commands in trip.items()})
            except StopIteration as stop:
                result: T = stop.value
                return result

    def _visit(self, node: Node, commands: Sequence[Command]) -> list[Any] | StoreUnavailable:
        try:
            return self._connection(node).call(*commands)
        except StoreUnavailable as err:
            return err

    def _connection(self, node: Node) -> NodeConnection:
        if node not in self._nodes:
            self._nodes[node] = NodeConnection(self._topology.url_of(node), self._topology.settings, node)
        return self._nodes[node]


class NodeClient:
    """A link to one node, whoever holds the keys."""

    def __init__(self, client: Client, node: Node) -> None:
        self._link = client
        self._node = node

    def call(self, *commands: Command) -> list[Any]:
        """See `SyncLink.call`."""
        return self._link.call_at(self._node, *commands)


def _questions(commands: Sequence[Command]) -> list[NodeRequest]:
    """Return what may be asked of several nodes; a transaction is one question."""
    if commands[0][0] == "MULTI":
        return [NodeRequest(tuple(commands))]
    return [NodeRequest((command,)) for command in commands]


def _redirection(replies: Sequence[Any]) -> KeysElsewhere | None:
    return next((reply for reply in replies if isinstance(reply, KeysElsewhere)), None)
