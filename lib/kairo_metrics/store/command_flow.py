"""Command flows: the logic of a call to the store without its I/O.

A flow is a generator. It yields a command; the reply is sent into it, and a `StoreError` is thrown into it. Its return
value is the result. So blocking and async callers run the same flow, and only the transport differs.

Source: https://sans-io.readthedocs.io/
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from .transports import AsyncTransport, SyncTransport

__all__ = ["Command", "CommandFlow", "arun_flow", "run_flow"]

T = TypeVar("T")
Command = tuple[str | bytes | int, ...]
CommandFlow = Generator[Command, Any, T]


async def arun_flow(flow: CommandFlow[T], transport: AsyncTransport) -> T:
    """Run a flow in an event loop and return its result.

    Raises:
        StoreError: the store answered with it, or could not be reached, and the flow did not handle it.
    """
    try:
        command = next(flow)
        while True:
            try:
                [reply] = await transport.call(command)
            except StoreError as err:
                reply = err
            command = _advance(flow, reply)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()


def run_flow(flow: CommandFlow[T], transport: SyncTransport, deadline_s: float = math.inf) -> T:
    """Run a flow in a thread and return its result.

    Args:
        flow: what to run.
        transport: sends its commands.
        deadline_s: the monotonic time, in seconds, after which no more commands are sent.

    Raises:
        StoreError: the store answered with it, or could not be reached, and the flow did not handle it.
    """
    try:
        command = next(flow)
        while True:
            try:
                if time.monotonic() > deadline_s:
                    raise StoreUnavailable("there was no time left to send it")
                [reply] = transport.call(command)
            except StoreError as err:
                reply = err
            command = _advance(flow, reply)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()


def _advance(flow: CommandFlow[T], reply: Any) -> Command:
    return flow.throw(reply) if isinstance(reply, StoreError) else flow.send(reply)
