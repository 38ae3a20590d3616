"""A remote-write receiver that answers as a test wants, and keeps the requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cramjam

from lib.kairo_metrics.exposition.remote_write_pb2 import WriteRequest

__all__ = ["Received", "Reply", "WriteReceiver", "decoded", "write_receiver"]


@dataclass(frozen=True, slots=True)
class Received:
    """One received request."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver answers.

    Args:
        status: 0 hangs up without an answer after reading the request.
        text: the body.
        headers: besides those that every answer has.
        dripped: send this number of bytes of a header first, one each 50 ms.
    """

    status: int = 204
    text: str = ""
    headers: Mapping[str, str] | None = None
    dripped: int = 0


class WriteReceiver:
    """A receiver on a free port of the loopback address.

    Args:
        replies: one per request, in order; the last one is repeated.
    """

    def __init__(self, replies: Sequence[Reply]) -> None:
        self._replies = list(replies)
        self.received: list[Received] = []
        self._refused: tuple[str, Reply] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                outer.received.append(Received(dict(self.headers), self.rfile.read(length)))
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/v1/write"

    def refuse_label(self, value: str, reply: Reply) -> None:
        """Answer so to every body that holds a series with this label value."""
        self._refused = value, reply

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Return the next reply."""
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if self._refused is not None:
            value, refusal = self._refused
            if any(value in labels.values() for labels, _, _ in decoded(self.received[-1].body)):
                reply = refusal
        if not reply.status:
            handler.close_connection = True
            return
        handler.send_response(reply.status)
        if reply.dripped:
            handler.flush_headers()
            handler.wfile.write(b"X-Slow: ")
            for _ in range(reply.dripped):
                handler.wfile.write(b".")
                time.sleep(0.05)
            handler.wfile.write(b"\r\n")
        for name, value in (reply.headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(reply.text.encode())


@contextmanager
def write_receiver(*replies: Reply) -> Iterator[WriteReceiver]:
    """Run a receiver until the block ends; by default it accepts everything."""
    receiver = WriteReceiver(replies or [Reply()])
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


def decoded(body: bytes) -> list[tuple[dict[str, str], float, int]]:
    """Decode a body with other libraries than ours: labels as sent, value and time in ms of every sample."""
    message = WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body)))
    return [
        ({label.name: label.value for label in series.labels}, sample.value, sample.timestamp)
        for series in message.timeseries
        for sample in series.samples
    ]
