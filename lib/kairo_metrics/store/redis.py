"""The store in Redis: the only place that imports redis, and that translates its errors.

redis is imported when the first connection is made: it is the dearest import of a cold start.
Connections are redis-py's own, without its client on top: the client retries by itself, and a blind
retry would hide from us whether a batch was sent once or ten times.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..errors import StoreError, StoreRefused, StoreUnavailable, UnknownScript
from .base import Batch, Command, Steps, Verdict, Writer
from .conversation import is_foreign, raise_refusal
from .keys import Keys
from .script import SENT_AGAIN_WITHIN_S, apply, load_script

if TYPE_CHECKING:
    from .snapshot import IndexEntry, Snapshot

__all__ = ["RedisStore"]

# Series per trip of a scrape: what keeps Redis for about a millisecond.
_CHUNK = 1_000
_KEYS_PER_TRIP = 8


class RedisStore:
    """Shared state in Redis, Valkey, or whatever speaks their protocol and runs Lua.

    Args:
        settings: the address, the namespace and the bounds.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: dict[asyncio.AbstractEventLoop, list[_AsyncLink]] = {}
        self._sync_idle: list[_SyncLink] = []
        self._inherited: list[object] = []
        self.is_loaded = False

    def load(self) -> None:
        """See `Store.load`."""
        with suppress(ImportError):  # told where it is needed, and not to a request that has had its answer
            import redis.asyncio.connection  # noqa: F401
        load_script()
        self.is_loaded = True

    def apply(self, writer: Writer, batch: Batch) -> Steps[Verdict]:
        """See `Store.apply`."""
        return apply(self._settings, writer, batch)

    def tidy(self, entry: IndexEntry, texts: Sequence[bytes]) -> Steps[None]:
        """See `Store.tidy`."""
        from .tidy import tidy  # no request needs it

        return tidy(self._settings, entry, texts)

    @asynccontextmanager
    async def link(self) -> AsyncIterator[_AsyncLink]:
        """See `Store.link`."""
        # A connection belongs to the event loop that opened it, and is gone with it.
        loop = asyncio.get_running_loop()
        for known in list(self._idle):
            if known.is_closed():
                self._idle.pop(known, None)
        idle = self._idle.setdefault(loop, [])
        # Importing, and reading certificates, must not hold up other coroutines.
        link = idle.pop() if idle else await asyncio.to_thread(_AsyncLink, self._url(), self._settings)
        try:
            yield link
        finally:
            with suppress(RuntimeError):  # the event loop was closed in the midst of it; so is the connection
                await link.settle()
                idle.append(link)

    @contextmanager
    def sync_link(self) -> Iterator[_SyncLink]:
        """See `Store.sync_link`."""
        try:
            link = self._sync_idle.pop()
        except IndexError:
            link = _SyncLink(self._url(), self._settings)
        try:
            yield link
        finally:
            self._sync_idle.append(link)

    async def aclose(self) -> None:
        """Close the connections of this event loop and of threads that nobody uses."""
        for link in self._idle.pop(asyncio.get_running_loop(), []):
            await link.close(wait=True)
        while self._sync_idle:
            self._sync_idle.pop().close()

    def forget_connections(self) -> None:
        """Leave the connections alone after a fork: they are the parent's, and so is the place where it waits for them.

        They are kept for ever, because a connection that is collected closes itself.
        """
        self._inherited.append((self._idle, self._sync_idle))
        self._idle, self._sync_idle = {}, []

    async def ping(self) -> None:
        """See `Store.ping`."""
        async with self.link() as link:
            raise_refusal(await link.call(("PING",)))

    async def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        from .snapshot import read_snapshot  # no request needs it

        shards = range(self._settings.shards)
        questions: list[Command] = [("HGETALL", Keys(self._settings.namespace, shard).families) for shard in shards]
        async with self.link() as link:
            asked_s = time.time()
            replies = await link.call(("TIME",), ("INFO", "server"), ("INFO", "memory"), *questions)
            between_s = asked_s, time.time()
        raise_refusal([replies[0], *replies[3:]])
        return read_snapshot(replies, between_s, self._settings.max_series)

    async def scan(self, entries: Sequence[IndexEntry]) -> AsyncIterator[tuple[IndexEntry, list[bytes] | None]]:
        """See `Store.scan`.

        The next trip is under way while the caller works on what this one brought.
        """
        waiting = deque((entry, b"0") for entry in entries)
        async with self.link() as link:
            trip = await self._send_scans(link, waiting)
            while trip:
                found = []
                for entry in trip:
                    reply = await link.receive()
                    cursor, items = (b"0", None) if is_foreign(reply) else reply
                    if cursor != b"0":
                        waiting.append((entry, cursor))
                    found.append((entry, items))
                trip = await self._send_scans(link, waiting)
                for entry, items in found:
                    yield entry, items

    async def _send_scans(self, link: _AsyncLink, waiting: deque[tuple[IndexEntry, bytes]]) -> list[IndexEntry]:
        taken = [waiting.popleft() for _ in range(min(len(waiting), _KEYS_PER_TRIP))]
        if not taken:
            return []
        # Redis works off one client's pipeline in one go, so the chunk is shared by the keys of a trip.
        count = _CHUNK // len(taken)
        await link.send(
            *[
                ("HSCAN", Keys(self._settings.namespace, entry.shard).series(entry.schema), cursor, "COUNT", count)
                for entry, cursor in taken
            ]
        )
        return [entry for entry, _ in taken]

    def _url(self) -> str:
        if self._settings.redis_url is None:
            raise StoreUnavailable("REDIS_URL is not set (nor KV_URL, nor REDIS_TLS_URL): there is no store to reach")
        return self._settings.redis_url


class _AsyncLink:
    """A connection that opens itself when used, and again once when it turns out to be broken."""

    def __init__(self, url: str, settings: Settings) -> None:
        from redis.asyncio.connection import Connection, parse_url
        from redis.exceptions import RedisError

        from .address import connection_arguments

        arguments, self._greeting = connection_arguments(parse_url(url), settings, socket_timeout=None)
        self._connection: Any = arguments.pop("connection_class", Connection)(**arguments)
        self._errors = (RedisError, OSError)
        self._unanswered = 0
        if trusted := getattr(self._connection, "ssl_context", None):
            with suppress(OSError):  # told by the connection, which reads them again
                trusted.get()

    async def call(self, *commands: Command) -> list[Any]:
        """See `AsyncLink.call`. What is sent must be safe to send twice."""
        asked_s = time.time()
        try:
            return await self._call(commands)
        except StoreUnavailable as err:
            await self.settle()
            if not err.broken or _is_late(asked_s):
                raise
            # The server closes sockets that idle, and a frozen instance does not notice.
            with _remembering(err):
                return await self._call(commands)

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
                from .address import without_login

                raise without_login(refusals[0], self._greeting)
        await self._send(commands)

    async def _send(self, commands: Sequence[Command]) -> None:
        try:
            await self._connection.connect()
            self._unanswered += len(commands)
            await self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        except self._errors as err:
            raise _translated(err, sent=self._unanswered > 0) from err

    async def receive(self) -> Any:
        """Return the next reply, or the `StoreRefused` that the server answered with."""
        try:
            reply = await self._connection.read_response()
        except self._errors as err:
            reply = _translated(err, sent=True)
            if isinstance(reply, StoreUnavailable):
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
        with suppress(*self._errors):
            await self._connection.disconnect(nowait=not wait)


class _SyncLink:
    """The same for a thread: only the transport differs."""

    def __init__(self, url: str, settings: Settings) -> None:
        from redis.connection import Connection, parse_url
        from redis.exceptions import RedisError

        from .address import connection_arguments

        timeout_s = settings.flush_budget_ms / 1000
        parsed: Any = parse_url(url)  # type: ignore[no-untyped-call]
        arguments, self._greeting = connection_arguments(
            parsed, settings, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
        )
        self._connection: Any = arguments.pop("connection_class", Connection)(**arguments)
        self._errors = (RedisError, OSError)

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
                return self._call(commands)

    def _call(self, commands: Sequence[Command]) -> list[Any]:
        if not self._connection.is_connected and self._greeting:
            refusals = [reply for reply in self._exchange(self._greeting) if isinstance(reply, StoreError)]
            if refusals:
                self.close()
                from .address import without_login

                raise without_login(refusals[0], self._greeting)
        return self._exchange(commands)

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        connected = False
        try:
            self._connection.connect()
            connected = True
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
        except self._errors as err:
            raise _translated(err, sent=connected) from err
        return [self._receive() for _ in commands]

    def _receive(self) -> Any:
        try:
            return self._connection.read_response()
        except self._errors as err:
            reply = _translated(err, sent=True)
            if isinstance(reply, StoreUnavailable):
                raise reply from err
            return reply

    def close(self) -> None:
        """Close; the next use opens it again."""
        self._connection.disconnect()


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


def _translated(err: Exception, *, sent: bool) -> StoreError:  # noqa: PLR0911  one for each kind of error
    """Turn redis-py's error into ours.

    Args:
        err: what it raised.
        sent: whether the server may have run what was asked of it.
    """
    from redis import exceptions

    match err:
        case exceptions.NoScriptError():
            return UnknownScript(str(err))
        # Redis 6 hides the code in the error of the script.
        case exceptions.ResponseError() if isinstance(err, exceptions.ReadOnlyError) or "READONLY" in str(err):
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
    from .address import distrust

    return StoreUnavailable(distrust(err) or f"Redis: {err}", sent=sent)
