"""A TLS server in front of Redis, with a certificate of an authority made by the test."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import trustme

__all__ = ["TlsFront"]

_HOST = "127.0.0.1"


class TlsFront:
    """Speaks TLS with clients and forwards their requests to the Redis at `upstream`.

    Args:
        upstream: the `redis://` URL of the real server.
        names: the host names in its certificate.
        until: the end of its certificate's validity; by default long after the test.

    Attributes:
        url: the client's `rediss://` URL.
        authority: the authority's certificate as PEM text, which a client must trust.
    """

    def __init__(self, upstream: str, *names: str, until: datetime | None = None) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        maker = trustme.CA()
        self.authority = maker.cert_pem.bytes().decode()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        began = until - timedelta(days=1) if until else None
        maker.issue_cert(*(names or (_HOST,)), not_before=began, not_after=until).configure_cert(self._context)
        self._listener = socket.create_server((_HOST, 0))
        self.url = f"rediss://{_HOST}:{self._listener.getsockname()[1]}/0"
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._listener.settimeout(0.1)  # wakes the thread
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(5)
        with (
            client,
            # A client that does not trust the certificate hangs up during the handshake.
            contextlib.suppress(OSError),
            self._context.wrap_socket(client, server_side=True) as encrypted,
            socket.create_connection(self._upstream) as plain,
        ):
            plain.settimeout(0.1)
            encrypted.settimeout(0.1)
            back = threading.Thread(target=self._pump, args=(plain, encrypted))
            back.start()
            self._pump(encrypted, plain)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                with contextlib.suppress(TimeoutError):
                    if not (piece := source.recv(1 << 16)):
                        break
                    sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
