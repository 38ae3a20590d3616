"""A stand-in for a Redis that refuses every command with the same words, as hosted ones do."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator

__all__ = ["refusing_redis"]


@contextlib.contextmanager
def refusing_redis(reply: str, *, closes: bool = False) -> Iterator[str]:
    """Answer every command with an error while the block runs, and give the URL.

    Args:
        reply: the error, without the minus sign.
        closes: whether to close the connection after the first reply, and to reply before a command comes.
    """
    line = f"-{reply}\r\n".encode()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the client has left
                if closes:
                    self.wfile.write(line)
                    return
                while head := self.rfile.readline():
                    for _ in range(int(head[1:])):
                        size = int(self.rfile.readline()[1:])
                        self.rfile.read(size + 2)
                    self.wfile.write(line)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
