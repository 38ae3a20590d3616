"""Links: what a task or a thread has borrowed, with a connection to every node that it has asked."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import KeysElsewhere, StoreError, StoreRefused, StoreUnavailable
from .base import Command
from .connections import AsyncConnectionToNode, ConnectionToNode
from .keys import Keys
from .question import Node, Question
from .script import SENT_AGAIN_WITHIN_S

if TYPE_CHECKING:
    from .cluster import Answer, Replies, Trip
    from .pool import Pool

__all__ = ["AsyncLink", "Link", "PartLink"]

T = TypeVar("T")
# Of so many shards, some are elsewhere if there is an elsewhere.
_PROBED = 64


class AsyncLink:
    """A connection to each node in use by one task: to one server, unless it turns out to be a cluster."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._nodes: dict[Node, AsyncConnectionToNode] = {}

    async def call(self, *commands: Command) -> list[Any]:
        """See `AsyncLink.call`. What is sent must be safe to send twice."""
        if self.pool.cluster is None:
            await self._find_home()
            replies = await (await self._connection(None)).call(*commands)
            if (redirection := _redirection(replies)) is None:
                return replies
            self.pool.known_cluster().move(redirection, None)
            answers = await self.ask(_questions(commands), doubtful=redirection.sent)
        else:
            answers = await self.ask(_questions(commands))
        return [reply for answer in answers for reply in answer.replies]

    async def ask(self, questions: Sequence[Question], *, doubtful: bool = False) -> list[Answer]:
        """Ask each question of the node of a cluster that holds its keys."""
        from .cluster import route

        return await self._hold(route(self.pool.known_cluster(), questions, doubtful=doubtful))

    async def send(self, questions: Sequence[Question]) -> list[Node]:
        """Send questions of one command each, to be answered by `receive`; return where each went."""
        await self._find_home()
        cluster = self.pool.cluster
        goals = [cluster.node_of(question) if cluster else None for question in questions]
        for node in dict.fromkeys(goals):
            asked = [q.commands_for(node) for q, goal in zip(questions, goals, strict=True) if goal == node]
            await (await self._connection(node)).send(*(command for commands in asked for command in commands))
        return goals

    async def receive(self, questions: Sequence[Question], goals: Sequence[Node]) -> list[tuple[Any, Node]]:
        """Return the reply to each question, and the node that gave it."""
        found = [(await (await self._connection(node)).receive(), node) for node in goals]
        moved = [place for place, (reply, _) in enumerate(found) if isinstance(reply, KeysElsewhere)]
        for place in moved:
            self.pool.known_cluster().move(*found[place])
        if moved:
            answers = await self.ask([questions[place] for place in moved])
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
        if self.pool.sentinels is not None and (home is None or not home.is_open):
            from .sentinel import find

            goal = await self._hold(find(self.pool.sentinels))
            self._nodes[None] = await self._made(None, goal)

    async def _hold(self, routing: Generator[Trip, Replies, T]) -> T:
        with closing(routing):
            try:
                trip = next(routing)
                while True:
                    trip = routing.send(await self._travel(trip))
            except StopIteration as stop:
                result: T = stop.value
                return result

    async def _travel(self, trip: Trip) -> Replies:
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

    async def _connection(self, node: Node) -> AsyncConnectionToNode:
        if node not in self._nodes:
            self._nodes[node] = await self._made(node, node)
        return self._nodes[node]

    async def _made(self, node: Node, goal: Node) -> AsyncConnectionToNode:
        # To read certificates must not hold up other coroutines.
        return await asyncio.to_thread(AsyncConnectionToNode, self.pool.url_of(node), self.pool.settings, goal)


class Link:
    """The same for a thread: only the transport differs."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._nodes: dict[Node, ConnectionToNode] = {}

    def call(self, *commands: Command) -> list[Any]:
        """See `SyncLink.call`. What is sent must be safe to send twice."""
        if self._pool.cluster is None:
            self._find_home()
            replies = self._connection(None).call(*commands)
            if (redirection := _redirection(replies)) is None:
                return replies
            self._pool.known_cluster().move(redirection, None)
            answers = self._ask(_questions(commands), doubtful=redirection.sent)
        else:
            answers = self._ask(_questions(commands))
        return [reply for answer in answers for reply in answer.replies]

    @property
    def is_cluster(self) -> bool:
        """Whether it has turned out to be one."""
        return self._pool.cluster is not None

    def parts(self) -> list[PartLink]:
        """Return links whose keys together are all: to each master of a cluster, or to the one server.

        Raises:
            StoreError: nobody could be asked.
        """
        [reply] = self.call(("CLUSTER", "SLOTS"))
        if not isinstance(reply, StoreError):
            cluster = self._pool.known_cluster()
            cluster.learn(reply, None)
            return [PartLink(self, node) for node in cluster.masters]
        if "NOPERM" in str(reply) or "no permissions" in str(reply):
            keys = [Keys(self._pool.settings.namespace, shard).probe for shard in range(_PROBED)]
            told = self._connection(None).call(*(("HLEN", key) for key in keys))
            if _redirection(told) is not None:
                raise StoreRefused(f"this is a cluster, and the user may not ask for its nodes: {reply}")
        return [PartLink(self, None)]

    def close(self) -> None:
        """Close; the next use opens it again."""
        for connection in self._nodes.values():
            connection.close()

    def call_at(self, node: Node, *commands: Command) -> list[Any]:
        """Ask one node, wherever the keys are."""
        return self._connection(node).call(*commands)

    def _ask(self, questions: Sequence[Question], *, doubtful: bool = False) -> list[Answer]:
        from .cluster import route

        # A node that is gone without a word takes all the time that there is; the next attempt begins elsewhere.
        limit_s = min(SENT_AGAIN_WITHIN_S, self._pool.settings.flush_budget_ms / 1000)
        return self._hold(route(self._pool.known_cluster(), questions, doubtful=doubtful, limit_s=limit_s))

    def _find_home(self) -> None:
        home = self._nodes.get(None)
        if self._pool.sentinels is not None and (home is None or not home.is_open):
            from .sentinel import find

            goal = self._hold(find(self._pool.sentinels))
            self._nodes[None] = ConnectionToNode(self._pool.url, self._pool.settings, goal)

    def _hold(self, routing: Generator[Trip, Replies, T]) -> T:
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

    def _connection(self, node: Node) -> ConnectionToNode:
        if node not in self._nodes:
            self._nodes[node] = ConnectionToNode(self._pool.url_of(node), self._pool.settings, node)
        return self._nodes[node]


class PartLink:
    """A link to one node, whoever holds the keys."""

    def __init__(self, link: Link, node: Node) -> None:
        self._link = link
        self._node = node

    def call(self, *commands: Command) -> list[Any]:
        """See `SyncLink.call`."""
        return self._link.call_at(self._node, *commands)


def _questions(commands: Sequence[Command]) -> list[Question]:
    """Return what may be asked of several nodes; a transaction is one question."""
    if commands[0][0] == "MULTI":
        return [Question(tuple(commands))]
    return [Question((command,)) for command in commands]


def _redirection(replies: Sequence[Any]) -> KeysElsewhere | None:
    return next((reply for reply in replies if isinstance(reply, KeysElsewhere)), None)
