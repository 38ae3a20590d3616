"""`GET /api/nightly`: Vercel's cron calls it, and it sends the orders of the day to the queue."""

import os
from http.server import BaseHTTPRequestHandler

from vercel.queue.sync import send

from lib.kairo_metrics import instrument, measured

ORDERS = ({"number": 1}, {"number": 2})


@measured
def nightly() -> None:
    """Send each order to the queue."""
    for order in ORDERS:
        send("orders", order)


@instrument
class handler(BaseHTTPRequestHandler):  # noqa: N801  Vercel looks for this name
    """Answers the cron's request."""

    def do_GET(self) -> None:
        """Run, if the caller knows the secret that Vercel's cron presents."""
        status = 401
        if self.headers.get("Authorization") == f"Bearer {os.environ['CRON_SECRET']}":
            nightly()
            status = 204
        self.send_response(status)
        self.end_headers()
