"""A web site that answers as a test wants, in the place of a metrics page."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.doctor_run import TOKEN

__all__ = ["GOOD", "HTML_KIND", "Page", "endpoint", "make_certificate", "site"]

TEXT = "text/plain; version=0.0.4; charset=utf-8"
HTML_KIND = {"Content-Type": "text/html; charset=utf-8"}
GOOD = """\
# TYPE http_requests_total counter
http_requests_total{method="GET",route="/",status="200"} 3
# TYPE kairo_series gauge
kairo_series{family="http_requests"} 1
# TYPE kairo_store_info gauge
kairo_store_info{eviction_policy="noeviction",version="7.0"} 1
"""


@dataclass(frozen=True)
class Page:
    """An answer.

    Args:
        status: the HTTP status.
        body: the body.
        headers: besides Content-Length; `Date` replaces the server's own.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


# Called with the path and the request's headers, by name in lower case.
Answer = Callable[[str, Mapping[str, str]], Page]


def endpoint(text: str = GOOD, **headers: str) -> Answer:
    """Answer as our endpoint does, with this page, and with these headers in place of its own."""

    def answer(_path: str, asked: Mapping[str, str]) -> Page:
        if asked.get("authorization") != f"Bearer {TOKEN}":
            return Page(401, b"send the header\n", {"Content-Type": "text/plain"})
        own = {"Content-Type": TEXT, "Cache-Control": "private, no-store"}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        if "gzip" in asked.get("accept-encoding", ""):
            return Page(200, gzip.compress(text.encode()), {**own, "Content-Encoding": "gzip"})
        return Page(200, text.encode(), own)

    return answer


@contextlib.contextmanager
def site(answer: Answer, certificate: Path | None = None) -> Iterator[str]:
    """Serve on the loopback address while the block runs, and give the URL.

    Args:
        answer: what to answer.
        certificate: a file with key and certificate, which makes it https://localhost.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = answer(self.path, {name.lower(): value for name, value in self.headers.items()})
            self.send_response_only(page.status)
            for name, value in {"Content-Length": str(len(page.body)), **page.headers}.items():
                self.send_header(name, value)
            if "Date" not in page.headers:
                self.send_header("Date", self.date_time_string())
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_arguments: object) -> None:
            """Ignore clients that hang up, such as those that distrust the certificate."""

    with Server(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            url = f"https://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield url
        finally:
            server.shutdown()
            thread.join()


def make_certificate(file: Path, days: int) -> Path:
    """Write a key, and a self-signed certificate for localhost that ends in this number of days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - dt.timedelta(days=100))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(encoded + certificate.public_bytes(serialization.Encoding.PEM))
    return file
