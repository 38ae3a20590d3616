"""A receiver of pushes that answers as a test wants, and keeps the requests. It knows each protocol."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cramjam
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from lib.kairo_metrics.exposition.remote_write_2_pb2 import Request
from lib.kairo_metrics.exposition.remote_write_pb2 import WriteRequest

__all__ = ["Received", "Reply", "WriteReceiver", "decoded", "decoded_points", "request_2", "write_receiver", "written"]

VERSION_2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


@dataclass(frozen=True, slots=True)
class Received:
    """One received request."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def is_version_2(self) -> bool:
        """Whether it came by remote write 2.0."""
        return self.headers["Content-Type"] == VERSION_2

    @property
    def samples(self) -> list[tuple[dict[str, str], float, int]]:
        """What it carries, as `decoded` returns it; of OTLP the points."""
        return decoded(self.body) if self.headers.get("Content-Encoding") == "snappy" else decoded_points(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver answers.

    Args:
        status: 0 hangs up without an answer after reading the request.
        text: the body.
        headers: besides those that every answer has. By default, an answer of success to remote write 2.0 says that all
            was written.
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
        self._refused: tuple[Callable[[Received], bool], Reply] | None = None
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

    def refuse(self, matches: Callable[[Received], bool], reply: Reply) -> None:
        """Answer so to every request that matches."""
        self._refused = matches, reply

    def refuse_label(self, value: str, reply: Reply) -> None:
        """Answer so to every body that holds a series with this label value."""
        self.refuse(lambda request: any(value in labels.values() for labels, _, _ in request.samples), reply)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Return the next reply."""
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if self._refused is not None:
            matches, refusal = self._refused
            reply = refusal if matches(self.received[-1]) else reply
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
        request = self.received[-1]
        takes_all = reply.headers is None and reply.status < 300 and request.is_version_2
        for name, value in (written(request.body) if takes_all else reply.headers or {}).items():
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


def request_2(body: bytes) -> Request:
    """Decode a body of remote write 2.0."""
    return Request.FromString(bytes(cramjam.snappy.decompress_raw(body)))


def written(body: bytes, *, samples: int = 0, histograms: int = 0, exemplars: int = 0) -> dict[str, str]:
    """Return the headers that say how much of a body of remote write 2.0 was written: all but these."""
    series = request_2(body).timeseries
    counts = {
        "Samples": sum(len(one.samples) for one in series) - samples,
        "Histograms": sum(len(one.histograms) for one in series) - histograms,
        "Exemplars": sum(len(one.exemplars) for one in series) - exemplars,
    }
    return {f"X-Prometheus-Remote-Write-{part}-Written": str(count) for part, count in counts.items()}


def decoded(body: bytes) -> list[tuple[dict[str, str], float, int]]:
    """Decode a body with other libraries than ours: labels as sent, value and time in ms of every sample.

    Of a native histogram the value is the count. Both versions of remote write are known: the newer one has symbols.
    """
    message = request_2(body)
    if not message.symbols:
        return [
            ({label.name: label.value for label in series.labels}, sample.value, sample.timestamp)
            for series in WriteRequest.FromString(bytes(cramjam.snappy.decompress_raw(body))).timeseries
            for sample in series.samples
        ]
    found = []
    for series in message.timeseries:
        texts = [message.symbols[number] for number in series.labels_refs]
        labels = dict(zip(texts[::2], texts[1::2], strict=True))
        found += [(labels, sample.value, sample.timestamp) for sample in series.samples]
        found += [(labels, float(sample.count_int), sample.timestamp) for sample in series.histograms]
    return found


def decoded_points(body: bytes) -> list[tuple[dict[str, str], float, int]]:
    """Decode a body of OTLP: labels, value and time in ms of every point; of a histogram the value is the count."""
    found = []
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for metric in resource.scope_metrics[0].metrics:
            for point in getattr(metric, metric.WhichOneof("data")).data_points:  # type: ignore[arg-type]
                labels = {pair.key: pair.value.string_value for pair in point.attributes}
                value = point.as_double if hasattr(point, "as_double") else point.count
                found.append(({"__name__": metric.name, **labels}, float(value), point.time_unix_nano // 1_000_000))
    return found
