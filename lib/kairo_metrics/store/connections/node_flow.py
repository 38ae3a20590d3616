"""Node flows: the logic of a call that involves several nodes, without its I/O.

A flow is a generator. It yields the commands for each node and is sent what each node replied; its return value is the
result. So blocking and async clients run the same flow.

Source: https://sans-io.readthedocs.io/
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from ...errors import StoreUnavailable
from ..command_flow import Command
from .node_request import Node

__all__ = ["NodeCommands", "NodeFlow", "NodeReplies", "arun_node_flow", "run_node_flow"]

T = TypeVar("T")
NodeCommands = dict[Node, list[Command]]
# Of each node its replies in the order of the commands, or the error if it did not answer.
NodeReplies = dict[Node, list[Any] | StoreUnavailable]
NodeFlow = Generator[NodeCommands, NodeReplies, T]


async def arun_node_flow(flow: NodeFlow[T], exchange: Callable[[NodeCommands], Awaitable[NodeReplies]]) -> T:
    """Run a flow in an event loop and return its result.

    Args:
        flow: what to run.
        exchange: sends the commands to their nodes and returns the replies.

    Raises:
        StoreError: the flow ended with it.
    """
    try:
        commands = next(flow)
        while True:
            commands = flow.send(await exchange(commands))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()


def run_node_flow(flow: NodeFlow[T], exchange: Callable[[NodeCommands], NodeReplies]) -> T:
    """Run a flow in a thread and return its result; see `arun_node_flow`."""
    try:
        commands = next(flow)
        while True:
            commands = flow.send(exchange(commands))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()
