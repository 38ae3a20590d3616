"""One flow, run by a thread and by an event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from lib.kairo_metrics.errors import StoreRefused, StoreUnavailable
from lib.kairo_metrics.store.command_flow import Command, CommandFlow, arun_flow, run_flow


class Replies:
    """A transport with given replies, which records the commands."""

    def __init__(self, *replies: Any) -> None:
        self._replies = list(replies)
        self.commands: list[Command] = []

    @property
    def sent(self) -> int:
        return len(self.commands)

    def call(self, *commands: Command) -> list[Any]:
        self.commands += commands
        reply = self._replies.pop(0)
        if isinstance(reply, StoreUnavailable):
            raise reply
        return [reply]


class AsyncReplies(Replies):
    """The same for an event loop."""

    async def call(self, *commands: Command) -> list[Any]:  # type: ignore[override]
        return super().call(*commands)


def in_a_thread(flow: CommandFlow[Any], *replies: Any) -> tuple[Any, list[Command]]:
    transport = Replies(*replies)
    return run_flow(flow, transport), transport.commands


def in_a_loop(flow: CommandFlow[Any], *replies: Any) -> tuple[Any, list[Command]]:
    transport = AsyncReplies(*replies)
    return asyncio.run(arun_flow(flow, transport)), transport.commands


RUN = pytest.mark.parametrize("run", [in_a_thread, in_a_loop])
Run = Callable[..., tuple[Any, list[Command]]]


def ping_twice() -> CommandFlow[str]:
    """Send PING, and once more if the first one fails."""
    try:
        first = yield ("PING", 1)
    except StoreRefused as err:
        first = str(err)
    second = yield ("PING", 2)
    return f"{first}, {second}"


@RUN
def test_a_flow_gets_the_reply_to_each_command(run: Run) -> None:
    """What a flow returns is the result, in a thread as in an event loop."""
    assert run(ping_twice(), "one", "two") == ("one, two", [("PING", 1), ("PING", 2)])


@RUN
def test_a_flow_may_handle_an_error(run: Run) -> None:
    """An error reply is raised where the flow waits for the reply, so it can send another command."""
    assert run(ping_twice(), StoreRefused("no"), "two") == ("no, two", [("PING", 1), ("PING", 2)])


@RUN
@pytest.mark.parametrize("error", [StoreRefused("no"), StoreUnavailable("cut")])
def test_an_error_that_is_not_handled_is_raised(run: Run, error: Exception) -> None:
    """The caller sees the error of the store itself."""
    with pytest.raises(type(error)) as caught:
        run(ping_twice(), "one", error)
    assert caught.value is error


def test_nothing_is_sent_after_the_deadline() -> None:
    """A blocking flush that has no time left sends no further command, and says so."""
    transport = Replies("one", "two")
    with pytest.raises(StoreUnavailable, match="no time left") as caught:
        run_flow(ping_twice(), transport, deadline_s=-math.inf)
    assert (transport.commands, caught.value.sent) == ([], False)
    assert run_flow(ping_twice(), transport, deadline_s=time.monotonic() + 60) == "one, two"


def test_a_flow_is_closed_when_its_task_is_cancelled() -> None:
    """Whatever a flow holds open is closed when a flush is cancelled during a command."""
    closed = []

    def flow() -> CommandFlow[None]:
        try:
            yield ("PING",)
        finally:
            closed.append(True)

    class Hanging(Replies):
        async def call(self, *_: Command) -> list[Any]:  # type: ignore[override]
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(arun_flow(flow(), Hanging()))
    assert closed == [True]
