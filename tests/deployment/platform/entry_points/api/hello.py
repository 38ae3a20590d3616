"""A handler class."""

import itertools
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from prometheus_client import Counter

from lib.kairo_metrics import instrument

READ = Counter("items_read_total", "Items read.")
PARTS = (b"one ", b"two ", b"three")


@instrument
class handler(BaseHTTPRequestHandler):  # noqa: N801  Vercel's builder looks for this name
    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if "broken" in query:
            raise LookupError(query["broken"])
        READ.inc()
        kind = query.get("kind", "whole")
        self.send_response(int(query.get("status", "200")))
        if kind in {"whole", "sized-stream"}:
            self.send_header("Content-Length", str(len(b"".join(PARTS))))
        self.end_headers()
        if self.command != "HEAD":
            endless = itertools.repeat(b"x" * 65_536)
            for part in endless if kind == "endless-stream" else PARTS if "stream" in kind else [b"".join(PARTS)]:
                self.wfile.write(part)

    def do_HEAD(self) -> None:
        self.do_GET()
