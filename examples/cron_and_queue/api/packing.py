"""`POST /api/packing`: Vercel's queue calls it with each message of the topic `orders`, again until it answers 2xx."""

from http.server import BaseHTTPRequestHandler
from typing import Any

from prometheus_client import Counter
from vercel.queue.sync import accept_and_handle, subscribe

from lib.kairo_metrics import instrument, measured

PACKED = Counter("orders_packed_total", "Orders packed.")


@subscribe(topic="orders", consumer_group="api/packing.py")  # Vercel names the group after the file
@measured
def pack(order: Any) -> None:
    """Pack an order."""
    if order["number"] < 1:
        raise ValueError(f"no order has the number {order['number']}")
    PACKED.inc()


@instrument
class handler(BaseHTTPRequestHandler):  # noqa: N801  Vercel looks for this name
    """Answers the queue's requests."""

    def do_POST(self) -> None:
        """Hand the message to `pack`, and acknowledge it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        accept_and_handle(body, dict(self.headers))
        self.send_response(204)
        self.end_headers()
