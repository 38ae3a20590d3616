"""Clients of the store: each holds a connection to every node that it has used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from ...errors import KeysElsewhere, StoreError, StoreRefused, StoreUnavailable
from ..command_flow import Command
from ..keys import Keys
from ..script_call import RESEND_LIMIT_S
from .connection import AsyncNodeConnection, NodeConnection
from .node_flow import NodeCommands, NodeFlow, NodeReplies, arun_node_flow, run_node_flow
from .node_request import Node, NodeRequest
from .topology import Topology

if TYPE_CHECKING:
    from .cluster import NodeResponse

__all__ = ["AsyncClient", "Client", "NodeClient"]

# In a cluster, at least one of so many shards is almost certainly on another node.
_PROBED_SHARDS = 64


class AsyncClient(AbstractAsyncContextManager["AsyncClient"]):
    """The connections that one task uses: to one server, or to the nodes of a cluster once a redirect reveals it.

    At the end of an `async with` block it is idle again.

    Args:
        topology: what is known of the servers.
        idle: those of the same event loop that nobody uses.
    """

    def __init__(self, topology: Topology, idle: list[AsyncClient]) -> None:
        self.topology = topology
        self._idle = idle
        self._connections: dict[Node, AsyncNodeConnection] = {}
        self._sent = 0  # by connections that others have replaced

    async def __aexit__(self, *_error: object) -> None:
        with suppress(RuntimeError):  # the event loop was closed during the call, and its connections with it
            await self.close_unread()
            self._idle.append(self)

    @property
    def sent(self) -> int:
        """See `AsyncTransport.sent`."""
        return self._sent + sum(connection.sent for connection in self._connections.values())

    async def call(self, *commands: Command) -> list[Any]:
        """Send the commands to the nodes that hold their keys, and return the replies in order.

        A command may be sent twice, so it must be one that is safe to repeat. An error reply is returned, not raised.

        Raises:
            StoreUnavailable: the server could not be reached, or did not answer.
        """
        return await arun_node_flow(_call(self.topology, commands, RESEND_LIMIT_S), self._exchange)

    async def request(self, requests: Sequence[NodeRequest]) -> list[NodeResponse]:
        """Send each request to the node of a cluster that holds its keys, and return the responses in order."""
        from .cluster import route

        return await arun_node_flow(route(self.topology.known_cluster(), requests), self._exchange)

    async def send(self, requests: Sequence[NodeRequest]) -> list[Node]:
        """Send requests of one command each, and return their nodes; `receive` reads the replies."""
        cluster = self.topology.cluster
        nodes = [cluster.node_of(request) if cluster else None for request in requests]
        for node in dict.fromkeys(nodes):
            to_node = [request for request, other in zip(requests, nodes, strict=True) if other == node]
            connection = await self._connection(node)
            await connection.send(*(command for request in to_node for command in request.commands_for(node)))
        return nodes

    async def receive(self, requests: Sequence[NodeRequest], nodes: Sequence[Node]) -> list[tuple[Any, Node]]:
        """Return the reply to each request that was sent, with the node that gave it."""
        replies = [(await self._connections[node].receive(), node) for node in nodes]
        moved = [index for index, (reply, _) in enumerate(replies) if isinstance(reply, KeysElsewhere)]
        for index in moved:
            self.topology.known_cluster().follow(*replies[index])
        if moved:
            responses = await self.request([requests[index] for index in moved])
            for index, response in zip(moved, responses, strict=True):
                replies[index] = response.replies[0], response.node
        return replies

    async def close_unread(self) -> None:
        """Close the connections that have unread replies: the next borrower would read them as replies to its own."""
        for connection in self._connections.values():
            await connection.close_unread()

    async def close(self) -> None:
        """Close all connections; the next use opens them again."""
        for connection in self._connections.values():
            await connection.close(wait=True)

    async def _exchange(self, commands: NodeCommands) -> NodeReplies:
        if len(commands) == 1:
            [(node, to_node)] = commands.items()
            return {node: await self._call_node(node, to_node)}
        # All calls run to their end, also if one fails: a connection must not be used again in the middle of a call.
        results = await asyncio.gather(
            *(self._call_node(node, to_node) for node, to_node in commands.items()), return_exceptions=True
        )
        replies: NodeReplies = {}
        for node, result in zip(commands, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, StoreUnavailable):
                raise result
            replies[node] = result
        return replies

    async def _call_node(self, node: Node, commands: Sequence[Command]) -> list[Any] | StoreUnavailable:
        try:
            return await (await self._connection(node)).call(*commands)
        except StoreUnavailable as err:
            return err

    async def _connection(self, node: Node) -> AsyncNodeConnection:
        connection = self._connections.get(node)
        if connection is not None:
            await connection.close_ended()
        address = node
        sentinels = self.topology.sentinels if node is None else None
        if sentinels is not None and (connection is None or not connection.is_open):
            from .sentinel import find_server

            # Asked before each new connection: the master may have changed.
            address = await arun_node_flow(find_server(sentinels), self._exchange)
            self._sent += connection.sent if connection else 0
            connection = None
        if connection is None:
            url, settings = self.topology.url_of(node), self.topology.settings
            # In a thread, because it may read certificates from files.
            connection = await asyncio.to_thread(AsyncNodeConnection, url, settings, address)
            self._connections[node] = connection
        return connection


class Client(AbstractContextManager["Client"]):
    """The connections that one thread uses; it differs from `AsyncClient` only in the transport."""

    def __init__(self, topology: Topology, idle: list[Client]) -> None:
        self._topology = topology
        self._idle = idle
        self._connections: dict[Node, NodeConnection] = {}

    def __exit__(self, *_error: object) -> None:
        self._idle.append(self)

    def call(self, *commands: Command) -> list[Any]:
        """See `AsyncClient.call`."""
        # A node that hangs takes the whole flush budget; the next flush begins with another node.
        limit_s = min(RESEND_LIMIT_S, self._topology.settings.flush_budget_ms / 1000)
        return run_node_flow(_call(self._topology, commands, limit_s), self._exchange)

    @property
    def is_cluster(self) -> bool:
        """Whether a redirect has shown that the server is part of a cluster."""
        return self._topology.cluster is not None

    def nodes(self) -> list[NodeClient]:
        """Return a client for each master of a cluster, or for the one server; together they reach all keys.

        Raises:
            StoreError: the server could not be reached, or refused.
        """
        [reply] = self.call(("CLUSTER", "SLOTS"))
        if not isinstance(reply, StoreError):
            cluster = self._topology.known_cluster()
            cluster.learn(reply, None)
            return [NodeClient(self, node) for node in cluster.masters]
        if "NOPERM" in str(reply) or "no permissions" in str(reply):
            keys = [Keys(self._topology.settings.namespace, shard).probe for shard in range(_PROBED_SHARDS)]
            if _redirect(self.call_node(None, *(("HLEN", key) for key in keys))) is not None:
                raise StoreRefused(f"this is a cluster, and the user may not ask for its nodes: {reply}")
        return [NodeClient(self, None)]

    def close(self) -> None:
        """Close all connections; the next use opens them again."""
        for connection in self._connections.values():
            connection.close()

    def call_node(self, node: Node, *commands: Command) -> list[Any]:
        """Send the commands to one node, whichever node holds their keys, and return the replies in order."""
        return self._connection(node).call(*commands)

    def _exchange(self, commands: NodeCommands) -> NodeReplies:
        return {node: self._call_node(node, to_node) for node, to_node in commands.items()}

    def _call_node(self, node: Node, commands: Sequence[Command]) -> list[Any] | StoreUnavailable:
        try:
            return self._connection(node).call(*commands)
        except StoreUnavailable as err:
            return err

    def _connection(self, node: Node) -> NodeConnection:
        connection = self._connections.get(node)
        if connection is not None:
            connection.close_ended()
        address = node
        sentinels = self._topology.sentinels if node is None else None
        if sentinels is not None and (connection is None or not connection.is_open):
            from .sentinel import find_server

            # Asked before each new connection: the master may have changed.
            address = run_node_flow(find_server(sentinels), self._exchange)
            connection = None
        if connection is None:
            connection = NodeConnection(self._topology.url_of(node), self._topology.settings, address)
            self._connections[node] = connection
        return connection


class NodeClient:
    """A client that sends every command to one node."""

    def __init__(self, client: Client, node: Node) -> None:
        self._client = client
        self._node = node

    def call(self, *commands: Command) -> list[Any]:
        """See `Client.call_node`."""
        return self._client.call_node(self._node, *commands)


def _call(topology: Topology, commands: Sequence[Command], limit_s: float) -> NodeFlow[list[Any]]:
    """Send the commands to the one server, or to the nodes of a cluster if that is what it turns out to be.

    Args:
        topology: what is known of the servers.
        commands: what to send.
        limit_s: how long to follow redirects, in seconds.
    """
    sent = False
    if topology.cluster is None:
        [replies] = (yield {None: list(commands)}).values()
        if isinstance(replies, StoreUnavailable):
            raise replies
        if (redirect := _redirect(replies)) is None:
            return replies
        topology.known_cluster().follow(redirect, None)
        sent = redirect.sent
    from .cluster import route

    # Each command may go to another node, but a transaction stays together.
    is_transaction = commands[0][0] == "MULTI"
    requests = [NodeRequest(tuple(commands))] if is_transaction else [NodeRequest((command,)) for command in commands]
    responses = yield from route(topology.known_cluster(), requests, sent=sent, limit_s=limit_s)
    return [reply for response in responses for reply in response.replies]


def _redirect(replies: Sequence[Any]) -> KeysElsewhere | None:
    for reply in replies:
        if isinstance(reply, KeysElsewhere):
            return reply
    return None
