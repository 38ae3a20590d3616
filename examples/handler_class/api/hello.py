"""`GET /api/hello?name=...`: greets. One line measures this class of the standard library."""

from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from prometheus_client import Counter

from lib.kairo_metrics import instrument

GREETINGS = Counter("greetings_total", "Greetings sent.")


@instrument
class handler(BaseHTTPRequestHandler):  # noqa: N801  Vercel looks for this name
    """Answers requests; Vercel makes an instance of it for each."""

    def do_GET(self) -> None:
        """Greet the person in the query."""
        [name] = parse_qs(urlsplit(self.path).query).get("name", ["world"])
        body = f"Hello, {name}!".encode()
        GREETINGS.inc()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
