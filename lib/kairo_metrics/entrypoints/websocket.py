"""Measuring one websocket of an ASGI app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..frameworks.facts import RequestFacts
from .cancellation import is_own_mistake
from .websocket_record import WebSocketRecord

__all__ = ["WebSocket"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class WebSocket:
    """One websocket: what passes between the server and the app.

    Args:
        facts: what the framework tells of it.
        route: returns the template of its route.
        receive: the server's, as `send`.
        send: see `receive`.
    """

    def __init__(self, facts: RequestFacts, route: Callable[[], str], receive: Receive, send: Send) -> None:
        self._record = WebSocketRecord(facts, route)
        self._receive = receive
        self._send = send

    async def run(self, call: Callable[..., Awaitable[None]], scope: MutableMapping[str, Any]) -> None:
        """Let the app serve it.

        Args:
            call: calls the app.
            scope: the ASGI scope of the websocket.
        """
        try:
            await call(scope, self._receive_message, self._send_message)
        except asyncio.CancelledError as err:
            self._record.end(err if is_own_mistake() else None)
            raise
        except BaseException as err:
            self._record.end(err)
            raise
        self._record.end()

    async def _receive_message(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._record.leave()
        return message

    async def _send_message(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self._record.accept()
        elif message["type"] in {"websocket.close", "websocket.http.response.start"}:
            self._record.close(message.get("code"))
        try:
            await self._send(message)
        except OSError:
            self._record.leave()
            raise
