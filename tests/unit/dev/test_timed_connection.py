"""How long the dev server waits for a client that says nothing."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from lib.kairo_metrics.dev.timed_connection import TimedConnection

HEAD = b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"


class Timer:
    """A timer of the loop below."""

    def __init__(self, at_s: float, callback: Callable[..., Any]) -> None:
        self.at_s = at_s
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def __lt__(self, other: Timer) -> bool:
        return self.at_s < other.at_s


class Loop:
    """The part of an event loop that a connection uses, with a clock that the test holds."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._timers: list[Timer] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def call_later(self, delay_s: float, callback: Callable[..., Any]) -> Timer:
        timer = Timer(self.now_s + delay_s, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine))
        return self.tasks[-1]

    def sleep(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self._timers and self._timers[0].at_s <= end_s:
            timer = heapq.heappop(self._timers)
            self.now_s = timer.at_s
            if not timer.is_cancelled:
                timer.callback()
        self.now_s = end_s


class Transport(asyncio.Transport):
    """A transport that notes what is written, and whether it was closed."""

    is_closed = False
    written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Client:
    """A client of a server whose app reads the body of a request and then answers, if it answers at all."""

    def __init__(self, *, answers: bool = True) -> None:
        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            if not answers:
                await asyncio.Event().wait()
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        self.loop = Loop()
        self.transport = Transport()
        self._connection = TimedConnection(
            Config(app, log_config=None), ServerState(), {}, self.loop  # type: ignore[arg-type]
        )  # fmt: skip
        self._connection.connection_made(self.transport)

    async def send(self, data: bytes) -> None:
        self._connection.data_received(data)
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self) -> None:
        for task in self.loop.tasks:
            task.cancel()
        await asyncio.gather(*self.loop.tasks, return_exceptions=True)

    def is_connected(self) -> bool:
        return not self.transport.is_closed


async def test_a_client_that_says_nothing_is_let_go() -> None:
    """A connection without a request ends after 30 s."""
    client = Client()
    client.loop.sleep(29)
    assert client.is_connected()
    client.loop.sleep(1)
    assert not client.is_connected()


async def test_a_head_that_drips_is_let_go() -> None:
    """A byte every few seconds does not keep a connection: the whole head has 30 s."""
    client = Client()
    for byte in HEAD[:29]:
        await client.send(bytes([byte]))
        client.loop.sleep(1)
    assert client.is_connected()
    client.loop.sleep(1)
    assert not client.is_connected()


async def test_a_body_that_stops_is_let_go() -> None:
    """A body may take long as long as it comes; after a pause of 30 s the connection ends."""
    client = Client()
    await client.send(HEAD)
    for _ in range(5):
        await client.send(b"x" * 100)
        client.loop.sleep(29)
    assert client.is_connected()
    client.loop.sleep(1)
    assert not client.is_connected()
    await client.end()


@pytest.mark.parametrize("length", [100_000, 70_000])
async def test_a_slow_function_is_waited_for(length: int) -> None:
    """While a function computes, or does not read the body, its client may be silent for as long as it takes."""
    client = Client(answers=False)
    await client.send(HEAD)
    await client.send(b"x" * length)
    client.loop.sleep(600)
    assert client.is_connected()
    await client.end()


async def test_each_request_of_a_connection_has_its_own_time() -> None:
    """A client that asks every few seconds on one connection stays connected."""
    client = Client()
    for number in range(1, 21):
        await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.transport.written.count(b"HTTP/1.1 204") == number
        client.loop.sleep(4)
        assert client.is_connected()
    client.loop.sleep(30)
    assert not client.is_connected()
