"""Connections to one server, for an event loop and for a thread; the only place that imports redis.

It is imported with the first flush or scrape: redis is the dearest import of a cold start. Connections are redis-py's
own, without its clients on top: those retry by themselves, and a blind retry would hide from us whether a batch was
sent once or ten times. For the same reason its client for clusters is not used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from redis import exceptions
from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.connection import parse_url as async_parse_url
from redis.connection import Connection, parse_url
from redis.crc import key_slot

from ..config.settings import Settings
from ..errors import KeysElsewhere, StoreError, StoreRefused, StoreUnavailable, UnknownScript
from .command_flow import Command
from .connection_arguments import certificate_advice, connection_arguments, without_login
from .node_request import Address, Node
from .replies import mark_sent_before
from .scripts import SENT_AGAIN_WITHIN_S

__all__ = ["AsyncNodeConnection", "NodeConnection", "address_of", "hash_slot"]

_KEYS_BEING_MOVED = "the keys are on their way from one node of the cluster to another"
_ERRORS = (exceptions.RedisError, OSError)


class AsyncNodeConnection:
    """A connection that opens itself when used, and again once when it turns out to be broken.

    Args:
        url: the address, with login and TLS.
        settings: the time limits, and how certificates are checked.
        node: another host and port, to be reached in the same way.
    """

    def __init__(self, url: str, settings: Settings, node: Node = None) -> None:
        arguments, self._greeting = connection_arguments(
            _at(async_parse_url(url), node), settings, encrypted=_is_encrypted(url), socket_timeout=None
        )
        self._connection: Any = arguments.pop("connection_class", AsyncConnection)(**arguments)
        self._unanswered = 0
        if trusted := getattr(self._connection, "ssl_context", None):
            with suppress(OSError):  # told by the connection, which reads them again
                trusted.get()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as we know."""
        return bool(self._connection.is_connected)

    async def call(self, *commands: Command) -> list[Any]:
        """See `AsyncClient.call`. What is sent must be safe to send twice."""
        asked_s = time.time()
        try:
            return await self._call(commands)
        except StoreUnavailable as err:
            await self.settle()
            if not err.broken or _is_late(asked_s):
                raise
            # The server closes sockets that idle, and a frozen instance does not notice.
            with _remembering(err):
                return mark_sent_before(await self._call(commands), sent=err.sent)

    async def _call(self, commands: Sequence[Command]) -> list[Any]:
        await self.send(*commands)
        return [await self.receive() for _ in commands]

    async def send(self, *commands: Command) -> None:
        """Send the commands, to be answered by one `receive` each."""
        if not self._connection.is_connected and self._greeting:
            await self._send(self._greeting)
            replies = [await self.receive() for _ in self._greeting]
            if refusals := [reply for reply in replies if isinstance(reply, StoreError)]:
                # Whatever is said on this connection now is said to the wrong database.
                await self.close()
                raise without_login(refusals[0], self._greeting)
        await self._send(commands)

    async def _send(self, commands: Sequence[Command]) -> None:
        try:
            await self._connection.connect()
            self._unanswered += len(commands)
            await self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        except _ERRORS as err:
            raise _translated(err, sent=self._unanswered > 0) from err

    async def receive(self) -> Any:
        """Return the next reply, or the error that the server answered with."""
        try:
            reply = await self._connection.read_response()
        except _ERRORS as err:
            reply = _translated(err, sent=True)
            if not _is_answer(reply, err):
                raise reply from err
        self._unanswered -= 1
        return reply

    async def settle(self) -> None:
        """Close the connection if replies are due on it: the next user would take them for its own."""
        if self._unanswered:
            await self.close()

    async def close(self, *, wait: bool = False) -> None:
        """Close; the next use opens it again. TLS takes its leave: whoever ends the event loop next waits for that."""
        self._unanswered = 0
        with suppress(*_ERRORS):
            await self._connection.disconnect(nowait=not wait)


class NodeConnection:
    """The same for a thread: only the transport differs."""

    def __init__(self, url: str, settings: Settings, node: Node = None) -> None:
        timeout_s = settings.flush_budget_ms / 1000
        parsed: Any = parse_url(url)  # type: ignore[no-untyped-call]
        arguments, self._greeting = connection_arguments(
            _at(parsed, node),
            settings,
            encrypted=_is_encrypted(url),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
        self._connection: Any = arguments.pop("connection_class", Connection)(**arguments)

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as we know."""
        return bool(self._connection.is_connected)

    def call(self, *commands: Command) -> list[Any]:
        """See `SyncLink.call`. What is sent must be safe to send twice."""
        asked_s = time.time()
        try:
            return self._call(commands)
        except StoreUnavailable as err:
            self.close()
            if not err.broken or _is_late(asked_s):
                raise
            with _remembering(err):
                return mark_sent_before(self._call(commands), sent=err.sent)

    def _call(self, commands: Sequence[Command]) -> list[Any]:
        if not self._connection.is_connected and self._greeting:
            refusals = [reply for reply in self._exchange(self._greeting) if isinstance(reply, StoreError)]
            if refusals:
                self.close()
                raise without_login(refusals[0], self._greeting)
        return self._exchange(commands)

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        connected = False
        try:
            self._connection.connect()
            connected = True
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        except _ERRORS as err:
            raise _translated(err, sent=connected) from err
        return [self._receive() for _ in commands]

    def _receive(self) -> Any:
        try:
            return self._connection.read_response()
        except _ERRORS as err:
            reply = _translated(err, sent=True)
            if not _is_answer(reply, err):
                raise reply from err
            return reply

    def close(self) -> None:
        """Close; the next use opens it again."""
        self._connection.disconnect()


def address_of(url: str) -> Address | None:
    """Return host and port of an address; None for a Unix socket.

    Example:
        >>> address_of("rediss://user:secret@redis.example.org")
        ('redis.example.org', 6379)
    """
    parsed: Any = parse_url(url)  # type: ignore[no-untyped-call]
    return None if "path" in parsed else (parsed.get("host", "localhost"), parsed.get("port", 6379))


def hash_slot(key: bytes) -> int:
    """Return the hash slot of a key, in a cluster of any size.

    Example:
        >>> hash_slot(b"kairo:v1:{production/0}:families") == hash_slot(b"{production/0}")
        True
    """
    slot: int = key_slot(key)
    return slot


def _at(parsed: Any, node: Node) -> dict[str, Any]:
    """Return what was read in the address, for another node."""
    if node is None:
        return dict(parsed)
    arguments = {**parsed, "host": node[0], "port": node[1]}
    if arguments.pop("path", None) is not None:
        arguments.pop("connection_class", None)
    return arguments


def _is_encrypted(url: str) -> bool:
    return url.startswith("rediss://")


def _is_late(asked_s: float) -> bool:
    return time.time() - asked_s > SENT_AGAIN_WITHIN_S


@contextmanager
def _remembering(first: StoreUnavailable) -> Iterator[None]:
    """Let the error of a second attempt say that the first one may have been run."""
    try:
        yield
    except StoreUnavailable as err:
        err.sent = err.sent or first.sent
        raise


def _is_answer(reply: StoreError, err: Exception) -> bool:
    """Tell whether the server has answered and the connection is of further use."""
    return not isinstance(reply, StoreUnavailable) or isinstance(err, exceptions.TryAgainError)


def _translated(err: Exception, *, sent: bool) -> StoreError:  # noqa: PLR0911  one for each kind of error
    """Turn redis-py's error into ours.

    Args:
        err: what it raised.
        sent: whether the server may have run what was asked of it.
    """
    match err:
        case exceptions.NoScriptError():
            return UnknownScript(str(err))
        case exceptions.AskError():  # and MovedError, which is one
            asking = not isinstance(err, exceptions.MovedError)
            return KeysElsewhere(f"Redis: {err}", err.slot_id, err.host, err.port, asking=asking)
        case exceptions.TryAgainError():
            return StoreUnavailable(_KEYS_BEING_MOVED)
        case exceptions.ClusterDownError() | exceptions.BusyLoadingError():
            # A cluster without a majority, a server that starts: in a moment it will do.
            return StoreUnavailable(f"Redis: {err}")
        case exceptions.ResponseError() if _is_read_only(err):
            # A replica since a failover: a new connection may lead to the new master.
            return StoreUnavailable(f"Redis: {err}", broken=True)
        case exceptions.AuthenticationError():
            return StoreUnavailable(f"Redis: {err}")
        case exceptions.ResponseError():
            return StoreRefused(f"Redis: {err}")
        case exceptions.TimeoutError():
            return StoreUnavailable("Redis did not answer in time", sent=sent)
        case exceptions.ConnectionError() if sent:
            return StoreUnavailable("the connection to Redis broke", sent=True, broken=True)
    return StoreUnavailable(certificate_advice(err) or f"Redis: {err}", sent=sent)


def _is_read_only(err: Exception) -> bool:
    """Tell a replica's refusal; Redis 6 hides its code in the error of the script."""
    return isinstance(err, exceptions.ReadOnlyError) or "READONLY" in str(err)
