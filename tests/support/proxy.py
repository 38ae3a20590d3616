"""A TCP proxy in front of Redis that can delay, lose, drop or refuse traffic, and that counts it."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_HOST = "127.0.0.1"
_CHUNK = 1 << 16
# How long a test waits for a client; only a failing test waits that long.
_PATIENCE_S = 30
# More connections than fit into a backlog of zero.
_CROWD = 4


class Proxy:
    """Forwards connections to the Redis at `upstream`; a test can change its behaviour at any moment.

    Args:
        upstream: the `redis://` or `unix://` URL of the real server.

    Attributes:
        url: the client's URL; it stays the same when the proxy refuses and listens again.
        request_delay_ms: milliseconds that each request waits before the server gets it.
        reply_delay_ms: milliseconds that each reply waits before the client gets it.
        black_hole: drop what either side sends, and keep the connections open.
        held: the number of pieces of requests that `hold` has kept from the server.
        connections: the number of accepted connections.
        round_trips: the number of bursts of requests that the server answered; a pipeline is one burst.
        replies: the number of pieces of replies sent to the client.
        burst_bytes: the size of the last burst of requests, so far.
        reply_bytes: the size of the last piece of a reply.

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
        self.held = 0
        self.burst_bytes = 0
        self.reply_bytes = 0
        self.lock = threading.Lock()
        self._gate = threading.Condition()
        self._is_holding = False
        self._upstream = urlsplit(upstream)
        self._losses: list[_Loss] = []
        self._links: list[_Link] = []
        self._port = 0
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._crowd: list[socket.socket] = []

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        self.refuse()
        self.cut()
        for link in self._links:
            link.join()

    @property
    def url(self) -> str:
        return f"redis://{_HOST}:{self._port}/0"

    @property
    def address(self) -> tuple[str, int]:
        return _HOST, self._port

    def lose_reply(self, to: bytes = b"", *, at: int = 0, then_cut: bool = True, queued: bool = False) -> None:
        """Drop the next reply of the server, so that the client can't know whether its command ran.

        Args:
            to: drop only the reply to a burst that contains these bytes.
            at: let this number of its bytes through.
            then_cut: cut the connection; otherwise it hangs, and everything that follows on it is dropped, too.
            queued: add this loss after the pending ones; otherwise it replaces them.
        """
        self._losses = [*(self._losses if queued else ()), _Loss("reply", to, at, then_cut)]

    def lose_request(self, of: bytes = b"", *, at: int = 0, then_cut: bool = True) -> None:
        """Drop the next burst of requests, so that the server never runs it, unless `at` lets all of it through.

        Args:
            of: drop only a burst that contains these bytes.
            at: let this number of its bytes through.
            then_cut: cut the connection; otherwise it hangs.
        """
        self._losses = [_Loss("request", of, at, then_cut)]

    def hold(self) -> None:
        """Keep what clients send from the server, until `let_go`."""
        with self._gate:
            self._is_holding, self.held = True, 0

    def let_go(self) -> None:
        """Let the server have what was held."""
        with self._gate:
            self._is_holding = False
            self._gate.notify_all()

    def wait_until_held(self) -> None:
        """Wait until a client has sent something that is held."""
        with self._gate:
            assert self._gate.wait_for(lambda: self.held, _PATIENCE_S), "no client has sent anything"

    def pass_gate(self) -> None:
        """Wait while requests are held."""
        with self._gate:
            if self._is_holding:
                self.held += 1
                self._gate.notify_all()
                self._gate.wait_for(lambda: not self._is_holding)

    @property
    def loss_is_pending(self) -> bool:
        """Whether a requested loss has not happened yet."""
        return bool(self._losses)

    def lead_to(self, upstream: str) -> None:
        """Cut open connections and forward new ones to another server, as a host name does after a failover."""
        self._upstream = urlsplit(upstream)
        self.cut()

    def half_open(self) -> None:
        """Close the open connections without telling the client: its next request is answered by a reset."""
        for link in self._links:
            link.half_open()

    def cut(self) -> None:
        """Cut the open connections; new ones are accepted."""
        for link in self._links:
            link.cut()

    def refuse(self) -> None:
        """Refuse new connections, as if no server ran here; the open ones stay."""
        listener, acceptor = self._listener, self._acceptor
        if listener is None:
            return
        self._listener = self._acceptor = None
        with contextlib.suppress(OSError):  # some systems do not shut down a listening socket
            listener.shutdown(socket.SHUT_RDWR)
        if acceptor is not None:
            acceptor.join()
        listener.close()
        while self._crowd:
            self._crowd.pop().close()

    @property
    def is_deaf(self) -> bool:
        """Whether packets of new connections vanish."""
        return bool(self._crowd)

    def deafen(self) -> None:
        """Neither accept nor refuse new connections: their packets vanish, as behind a firewall."""
        self.refuse()
        self._listener = socket.create_server((_HOST, self._port), backlog=0)
        for _ in range(_CROWD):  # these connections fill the backlog, so later ones are ignored
            waiting = socket.socket()
            waiting.settimeout(0)
            waiting.connect_ex((_HOST, self._port))
            self._crowd.append(waiting)

    def listen(self) -> None:
        """Accept connections (again)."""
        if self._crowd:
            self.refuse()
        if self._listener is None:
            self._listener = socket.create_server((_HOST, self._port))
            self._port = self._listener.getsockname()[1]
            self._listener.settimeout(0.1)  # wakes the thread on systems where shutdown does not
            self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
            self._acceptor.start()

    def reset_counts(self) -> None:
        """Count from zero again."""
        with self.lock:
            self.connections = self.round_trips = self.replies = 0

    def take_loss(self, of: str, burst: bytes) -> _Loss | None:
        """Return the next loss if it is of this kind and applies to this burst of requests."""
        loss = self._losses[0] if self._losses else None
        if loss is None or loss.of != of or loss.contains not in burst:
            return None
        self._losses = self._losses[1:]
        return loss

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
            self._links = [*(known for known in self._links if known.is_alive()), link]
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


@dataclass(frozen=True, slots=True)
class _Loss:
    """A loss to come: the next request or reply, from some byte on."""

    of: str
    contains: bytes
    at: int
    then_cut: bool


class _Link(threading.Thread):
    """A connection of a client, and the matching one to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        super().__init__(daemon=True)
        client.settimeout(None)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._proxy = proxy
        self._client = client
        self._server = server
        self._burst = b""  # what the client has sent since the last reply
        self._mute = False
        self._half_open = False

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

    def half_open(self) -> None:
        self._half_open = True

    def _forward(self, side: socket.socket) -> bool:
        """Forward what `side` has sent; return False when the connection has ended."""
        data = side.recv(_CHUNK)
        if not data:
            return False
        return self._request(data) if side is self._client else self._reply(data)

    def _request(self, data: bytes) -> bool:
        if self._half_open:
            # Closed in this way, the client gets a reset.
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        time.sleep(self._proxy.request_delay_ms / 1000)
        self._proxy.pass_gate()
        if self._proxy.black_hole or self._mute:
            return True
        self._burst += data
        self._proxy.burst_bytes = len(self._burst)
        with self._proxy.lock:
            loss = self._proxy.take_loss("request", self._burst)
        if loss is None:
            self._server.sendall(data)
            return True
        before = len(self._burst) - len(data)
        self._server.sendall(data[: max(0, loss.at - before)])
        self._mute = True
        return not loss.then_cut

    def _reply(self, data: bytes) -> bool:
        with self._proxy.lock:
            burst, self._burst = self._burst, b""
            self._proxy.reply_bytes = len(data)
            self._proxy.round_trips += bool(burst)  # a long reply comes in pieces and counts once
            loss = self._proxy.take_loss("reply", burst) if burst else None
        time.sleep(0 if loss else self._proxy.reply_delay_ms / 1000)
        if not self._mute and not self._proxy.black_hole:
            heard = data if loss is None else data[: loss.at]
            with self._proxy.lock:
                self._proxy.replies += bool(heard)
            self._client.sendall(heard)
        self._mute = self._mute or loss is not None
        return loss is None or not loss.then_cut
