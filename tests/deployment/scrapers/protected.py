"""A stand-in for Vercel's Deployment Protection, or for a domain that redirects to another one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx

Gate = Callable[[BaseHTTPRequestHandler], bool]


def bypassed_by(secret: str) -> Gate:
    """Return a gate that accepts requests with the query parameter of Protection Bypass for Automation."""
    return lambda request: parse_qs(urlsplit(request.path).query).get("x-vercel-protection-bypass") == [secret]


@contextlib.contextmanager
def in_front_of(upstream: str, gate: Gate, refusal: int) -> Iterator[int]:
    """Pass on requests that the gate accepts until the block ends, and yield the port.

    Args:
        upstream: the address of the deployment.
        gate: returns whether a request may pass.
        refusal: the status for other requests; a redirect points to `upstream`.
    """

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not gate(self):
                self.send_response(refusal)
                self.send_header("Location", upstream + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            named = {name: value for name, value in self.headers.items() if name != "Accept-Encoding"}
            answer = httpx.get(upstream + self.path, headers={**named, "Accept-Encoding": "identity"})
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
