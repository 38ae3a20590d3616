"""Connections to one server, for an event loop and for a thread; the only module that imports redis.

The first flush or scrape imports it: redis is the slowest import of a cold start. It uses the connections of redis-py
without its clients: those retry by themselves, and a hidden retry would leave us not knowing whether a batch was sent
once or ten times. The cluster client is not used for the same reason.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from redis import exceptions
from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.connection import parse_url as async_parse_url
from redis.connection import Connection, parse_url
from redis.crc import key_slot

from ...config.settings import Settings
from ...errors import KeysElsewhere, StoreError, StoreRefused, StoreUnavailable, UnknownScript
from ..command_flow import Command
from ..replies import mark_sent_before
from ..script_call import RESEND_LIMIT_S
from .connection_arguments import certificate_advice, connection_arguments, for_node, is_encrypted, readable
from .node_request import Address, Node
from .packing import packed

__all__ = ["AsyncNodeConnection", "NodeConnection", "address_of", "hash_slot"]

_KEYS_BEING_MOVED = "the keys are being moved from one node of the cluster to another"
_ERRORS = (exceptions.RedisError, OSError)
# No CLIENT SETINFO on each new connection. redis-py before 7.2 has other arguments for it.
_UNNAMED: dict[str, Any] = (
    {"driver_info": None} if find_spec("redis.driver_info") else dict.fromkeys(("lib_name", "lib_version"))
)


class AsyncNodeConnection:
    """A connection that opens on first use, and opens again once when it turns out to be broken.

    Args:
        url: the address, with login and TLS.
        settings: the time limits, and how certificates are checked.
        node: another host and port to connect to, with the same login and TLS; None for those of the address.

    Attributes:
        sent: how many commands it has begun to send, without those of the handshake.
    """

    def __init__(self, url: str, settings: Settings, node: Node = None) -> None:
        arguments, self._handshake = connection_arguments(
            for_node(async_parse_url(url), node), settings, encrypted=is_encrypted(url), socket_timeout=None
        )
        self._connection: Any = arguments.pop("connection_class", AsyncConnection)(**arguments, **_UNNAMED)
        # redis-py before 8 has only the second.
        self._can_read = getattr(self._connection, "can_read", None) or self._connection.can_read_destructive
        self._unread = 0
        self.sent = 0
        if trusted := getattr(self._connection, "ssl_context", None):
            with suppress(OSError):  # the connection reads the certificates again, and raises the error then
                trusted.get()

    @property
    def is_open(self) -> bool:
        """Whether the connection is open, as far as is known; `close_ended` looks at what the server did meanwhile."""
        return bool(self._connection.is_connected)

    async def close_ended(self) -> None:
        """Close the connection if the server ended it while it was idle: what is sent on it would be in doubt.

        This asks the operating system, not the server: it costs no round trip.
        """
        if not self.is_open or self._unread:
            return
        try:
            # The event loop may not have read yet what the socket has, so the socket is asked, too.
            writer = self._connection._writer  # noqa: SLF001  redis-py has no other way to the socket
            usable = not (await self._can_read() or _is_readable(writer.transport))
        except _ERRORS:
            usable = False
        if not usable:
            await self.close()

    async def call(self, *commands: Command) -> list[Any]:
        """Send the commands and return the replies in order; see `AsyncClient.call`.

        If the connection turns out to be broken, the commands are sent once more over a new one.
        """
        sent_s = time.time()
        try:
            return await self._call(commands)
        except StoreUnavailable as err:
            await self.close_unread()
            if not err.broken or _is_late(sent_s):
                raise
            # The server closes idle connections, and an instance that is frozen does not notice.
            with _keep_sent(err):
                return mark_sent_before(await self._call(commands), sent=err.sent)

    async def _call(self, commands: Sequence[Command]) -> list[Any]:
        await self.send(*commands)
        return [await self.receive() for _ in commands]

    async def send(self, *commands: Command) -> None:
        """Send the commands; call `receive` once for each to read its reply."""
        if self._handshake and not self.is_open:
            with _handshaking():
                await self._send(self._handshake)
                replies = [await self.receive() for _ in self._handshake]
            if refusals := [reply for reply in replies if isinstance(reply, StoreError)]:
                # The connection stays without login, or at another database: it must not be used.
                await self.close()
                raise refusals[0]
        await self._send(commands)

    async def _send(self, commands: Sequence[Command]) -> None:
        try:
            if not self.is_open:
                await self._connection.connect()
            self._unread += len(commands)
            self.sent += len(commands) if commands is not self._handshake else 0
            await self._connection.send_packed_command(packed(self._connection, commands), check_health=False)
        except _ERRORS as err:
            raise _store_error(err, self._handshake, sent=self._unread > 0) from err

    async def receive(self) -> Any:
        """Return the next reply; an error reply is returned, not raised."""
        try:
            reply = await self._connection.read_response()
        except _ERRORS as err:
            reply = _store_error(err, self._handshake, sent=True)
            if not _is_reply(reply, err):
                raise reply from err
        self._unread -= 1
        return reply

    async def close_unread(self) -> None:
        """Close the connection if it has unread replies: the next user would read them as replies to its own."""
        if self._unread:
            await self.close()

    async def close(self, *, wait: bool = False) -> None:
        """Close the connection; the next use opens it again.

        Args:
            wait: whether to wait until TLS has closed it too, as is needed before the event loop ends.
        """
        self._unread = 0
        with suppress(*_ERRORS):
            await self._connection.disconnect(nowait=not wait)


class NodeConnection:
    """The same connection for a thread; it differs from `AsyncNodeConnection` only in the transport."""

    def __init__(self, url: str, settings: Settings, node: Node = None) -> None:
        timeout_s = settings.flush_budget_ms / 1000
        parsed: Any = parse_url(url)  # type: ignore[no-untyped-call]
        arguments, self._handshake = connection_arguments(
            for_node(parsed, node),
            settings,
            encrypted=is_encrypted(url),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
        self._connection: Any = arguments.pop("connection_class", Connection)(**arguments, **_UNNAMED)

    @property
    def is_open(self) -> bool:
        """See `AsyncNodeConnection.is_open`."""
        connected = getattr(self._connection, "is_connected", None)
        # redis-py before 8 does not tell it of a connection for threads.
        return bool(self._connection._sock if connected is None else connected)  # noqa: SLF001

    def close_ended(self) -> None:
        """See `AsyncNodeConnection.close_ended`."""
        if not self.is_open:
            return
        try:
            usable = not self._connection.can_read()
        except _ERRORS:
            usable = False
        if not usable:
            self.close()

    def call(self, *commands: Command) -> list[Any]:
        """See `AsyncNodeConnection.call`."""
        sent_s = time.time()
        try:
            return self._call(commands)
        except StoreUnavailable as err:
            self.close()
            if not err.broken or _is_late(sent_s):
                raise
            with _keep_sent(err):
                return mark_sent_before(self._call(commands), sent=err.sent)

    def _call(self, commands: Sequence[Command]) -> list[Any]:
        if self._handshake and not self.is_open:
            with _handshaking():
                replies = self._exchange(self._handshake)
            if refusals := [reply for reply in replies if isinstance(reply, StoreError)]:
                self.close()
                raise refusals[0]
        return self._exchange(commands)

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        connected = self.is_open
        try:
            if not connected:
                self._connection.connect()
            connected = True
            self._connection.send_packed_command(packed(self._connection, commands), check_health=False)
        except _ERRORS as err:
            raise _store_error(err, self._handshake, sent=connected) from err
        return [self._receive() for _ in commands]

    def _receive(self) -> Any:
        try:
            return self._connection.read_response()
        except _ERRORS as err:
            reply = _store_error(err, self._handshake, sent=True)
            if not _is_reply(reply, err):
                raise reply from err
            return reply

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        self._connection.disconnect()


def address_of(url: str) -> Address | None:
    """Return the host and port in an address, or None for a Unix socket.

    Example:
        >>> address_of("rediss://user:secret@redis.example.org")
        ('redis.example.org', 6379)
    """
    parsed: Any = parse_url(url)  # type: ignore[no-untyped-call]
    return None if "path" in parsed else (parsed.get("host", "localhost"), parsed.get("port", 6379))


def hash_slot(key: bytes) -> int:
    """Return the hash slot of a key; it does not depend on the size of the cluster.

    Example:
        >>> hash_slot(b"kairo:v1:{production/0}:families") == hash_slot(b"{production/0}")
        True
    """
    slot: int = key_slot(key)
    return slot


def _is_late(sent_s: float) -> bool:
    return time.time() - sent_s > RESEND_LIMIT_S


@contextmanager
def _keep_sent(first: StoreUnavailable) -> Iterator[None]:
    """Mark the error of a second attempt as `sent` if the first attempt may have been run."""
    try:
        yield
    except StoreUnavailable as err:
        err.sent = err.sent or first.sent
        raise


@contextmanager
def _handshaking() -> Iterator[None]:
    """Mark an error as not `sent`: without the handshake, the commands after it are not sent."""
    try:
        yield
    except StoreUnavailable as err:
        err.sent = False
        raise


def _is_readable(transport: asyncio.Transport) -> bool:
    """Tell whether the socket has something that the event loop has not read; of an idle one that is its end."""
    if transport.is_closing():
        return True
    socket = transport.get_extra_info("socket")
    if not hasattr(select, "poll"):  # on Windows
        return bool(select.select([socket], (), (), 0)[0])
    poll = select.poll()  # it opens no file, so it works also when the process may open no more
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _is_reply(reply: StoreError, err: Exception) -> bool:
    """Tell whether the error is a reply of the server, so that the connection can be used again."""
    return not isinstance(reply, StoreUnavailable) or isinstance(err, exceptions.TryAgainError)


def _store_error(err: Exception, handshake: Sequence[Command], *, sent: bool) -> StoreError:  # noqa: PLR0911  one for each kind of error
    """Return the error of ours for an error of redis-py.

    Args:
        err: what redis-py raised.
        handshake: the commands that log in; their password is removed from the text.
        sent: whether the server may have run the command.
    """
    said = f"Redis: {readable(_words_of(err), handshake)}"
    match err:
        case exceptions.NoScriptError():
            return UnknownScript(said)
        case exceptions.AskError():  # and MovedError, which is one
            asking = not isinstance(err, exceptions.MovedError)
            return KeysElsewhere(said, err.slot_id, err.host, err.port, asking=asking)
        case exceptions.RedisError() if "max number of clients" in said:
            # The server ran nothing, and closed the connection.
            return StoreUnavailable(said)
        case exceptions.TryAgainError():
            return StoreUnavailable(_KEYS_BEING_MOVED)
        case exceptions.ClusterDownError() | exceptions.BusyLoadingError() | exceptions.AuthenticationError():
            # The cluster has no majority, or the server is loading its data: try again later. Or the login is refused.
            return StoreUnavailable(said)
        case exceptions.ResponseError() if _is_read_only(err):
            # The server became a replica in a failover: a new connection may reach the new master.
            return StoreUnavailable(said, broken=True)
        case exceptions.ResponseError():
            return StoreRefused(said)
        case exceptions.TimeoutError():
            return StoreUnavailable("Redis did not answer in time", sent=sent)
        case exceptions.ConnectionError() if sent:
            return StoreUnavailable("the connection to Redis broke", sent=True, broken=True)
    return StoreUnavailable(certificate_advice(err) or said, sent=sent)


def _words_of(err: Exception) -> str:
    """Return the server's words with the code in front, which redis-py cuts off; ERR says nothing."""
    code, text = _code_of(err), str(err)
    return text if code in {"", "ERR"} or text.startswith(code) else f"{code} {text}"


def _code_of(err: Exception) -> str:
    """Return the first word of the error reply, as far as redis-py knows it; empty if there was no reply."""
    return getattr(err, "status_code", None) or ""


def _is_read_only(err: Exception) -> bool:
    """Tell whether a replica refused to write; Redis 6 puts that into the text of the script's error."""
    return isinstance(err, exceptions.ReadOnlyError) or "READONLY" in str(err)
