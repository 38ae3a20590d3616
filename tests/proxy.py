"""A TCP proxy in front of Redis that can be slow, lossy, deaf or gone, and that counts what passes."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_HOST = "127.0.0.1"
_CHUNK = 1 << 16


class Proxy:
    """Forwards connections to the Redis at `upstream`; a test may change how well at any moment.

    Args:
        upstream: the `redis://` or `unix://` URL of the real server.

    Attributes:
        url: the URL to give to the client; it stays the same when the proxy refuses and listens again.
        request_delay_ms: milliseconds that each request waits before the server gets it.
        reply_delay_ms: milliseconds that each reply waits before the client gets it.
        black_hole: throw away what either side sends, and keep the connections open.
        connections: how many connections were accepted.
        round_trips: how many bursts of requests the server answered; a pipeline is one burst.
        replies: how many pieces of replies the client was sent.

    Example:
        with Proxy(redis_url) as proxy:
            client = redis.Redis.from_url(proxy.url)
            proxy.lose_reply(to=b"EVALSHA")
    """

    def __init__(self, upstream: str) -> None:
        self.request_delay_ms = 0.0
        self.reply_delay_ms = 0.0
        self.black_hole = False
        self.connections = 0
        self.round_trips = 0
        self.replies = 0
        self.lock = threading.Lock()
        self._upstream = urlsplit(upstream)
        self._loss: tuple[bytes, bool] | None = None
        self._links: list[_Link] = []
        self._port = 0
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.cut()
        for link in self._links:
            link.join()

    @property
    def url(self) -> str:
        return f"redis://{_HOST}:{self._port}/0"

    def lose_reply(self, to: bytes = b"", *, then_cut: bool = True) -> None:
        """Swallow the next reply of the server, so that the client can't know whether its command ran.

        Args:
            to: only the reply to a burst that contains these bytes.
            then_cut: cut the connection; else it hangs, and whatever follows on it is swallowed too.
        """
        self._loss = (to, then_cut)

    @property
    def loss_is_pending(self) -> bool:
        """Whether the reply that `lose_reply` asked for is still to come."""
        return self._loss is not None

    def cut(self) -> None:
        """Cut the open connections; new ones are welcome."""
        for link in self._links:
            link.cut()

    def refuse(self) -> None:
        """Refuse new connections, as if no server ran there; the open ones stay."""
        listener, acceptor = self._listener, self._acceptor
        if listener is None or acceptor is None:
            return
        self._listener = self._acceptor = None
        with contextlib.suppress(OSError):  # some systems do not shut down a listening socket
            listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        listener.close()

    def listen(self) -> None:
        """Accept connections (again)."""
        if self._listener is None:
            self._listener = socket.create_server((_HOST, self._port))
            self._port = self._listener.getsockname()[1]
            self._listener.settimeout(0.1)  # so that the thread sees the end where shutdown does not wake it
            self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
            self._acceptor.start()

    def reset_counts(self) -> None:
        """Count from zero again."""
        with self.lock:
            self.connections = self.round_trips = self.replies = 0

    def loses_reply_to(self, burst: bytes) -> tuple[bool, bool]:
        """Tell whether the reply to `burst` is lost, and whether its connection is cut then."""
        if self._loss is None or self._loss[0] not in burst:
            return False, False
        then_cut = self._loss[1]
        self._loss = None
        return True, then_cut

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                client, _ = listener.accept()
            except OSError:
                continue
            with self.lock:
                self.connections += 1
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            link = _Link(self, client, server)
            self._links.append(link)
            link.start()

    def _connect(self) -> socket.socket:
        if self._upstream.scheme != "unix":
            server = socket.create_connection((self._upstream.hostname, self._upstream.port or 6379))
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return server
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._upstream.path)
        except OSError:
            server.close()
            raise
        return server


class _Link(threading.Thread):
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        super().__init__(daemon=True)
        client.settimeout(None)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._proxy = proxy
        self._client = client
        self._server = server
        self._burst = b""  # what the client has sent since the last reply
        self._mute = False

    def run(self) -> None:
        with self._client, self._server, contextlib.suppress(OSError):
            alive = True
            while alive:
                readable, _, _ = select.select([self._client, self._server], [], [])
                alive = all(self._forward(side) for side in readable)

    def cut(self) -> None:
        for side in (self._client, self._server):
            with contextlib.suppress(OSError):  # closed already
                side.shutdown(socket.SHUT_RDWR)

    def _forward(self, side: socket.socket) -> bool:
        """Pass on what `side` has sent; return False when this connection is at its end."""
        data = side.recv(_CHUNK)
        if not data:
            return False
        return self._request(data) if side is self._client else self._reply(data)

    def _request(self, data: bytes) -> bool:
        time.sleep(self._proxy.request_delay_ms / 1000)
        if not self._proxy.black_hole:
            self._burst += data
            self._server.sendall(data)
        return True

    def _reply(self, data: bytes) -> bool:
        with self._proxy.lock:
            burst, self._burst = self._burst, b""
            self._proxy.round_trips += bool(burst)  # a long reply comes in pieces, and counts once
            lost, then_cut = self._proxy.loses_reply_to(burst) if burst else (False, False)
        self._mute = self._mute or lost
        if lost and then_cut:
            return False
        time.sleep(self._proxy.reply_delay_ms / 1000)
        if not self._mute and not self._proxy.black_hole:
            with self._proxy.lock:
                self._proxy.replies += 1
            self._client.sendall(data)
        return True
