"""An AWS account simulated by moto, empty at first; an AWS that does not answer; and one that refuses."""

from __future__ import annotations

import functools
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from lib.kairo_metrics.endpoints import token_sources

__all__ = [
    "OTHER_REGION",
    "PARAMETER",
    "REGION",
    "SECRET",
    "aws",
    "refusing_aws",
    "silent_aws",
    "store",
    "use_account",
    "vault",
]

REGION, OTHER_REGION = "eu-west-1", "us-east-1"
SECRET, PARAMETER = "kairo/metrics-token", "/kairo/metrics-token"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Simulate an AWS account; give a function that makes clients of it."""
    # Imported here: the import takes half a second, and most test runs don't need it.
    import boto3
    import botocore.loaders
    from moto import mock_aws

    monkeypatch.setattr(botocore.loaders, "create_loader", _shared_loader)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield lambda service: boto3.client(service, REGION)


@functools.cache
def _shared_loader(search_path: str | None = None) -> Any:
    """Return the same loader for all clients, so that AWS's descriptions of its services are read once."""
    from botocore.loaders import Loader

    return Loader(search_path.split(os.pathsep) if search_path else None)


@pytest.fixture
def vault(aws: Callable[[str], Any]) -> Any:
    """Give a client of the account's Secrets Manager."""
    return aws("secretsmanager")


@pytest.fixture
def store(aws: Callable[[str], Any]) -> Any:
    """Give a client of the account's Systems Manager."""
    return aws("ssm")


def use_account(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Give this process an account whose services are all at one address."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)


@pytest.fixture
def silent_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Simulate an AWS that accepts connections and never answers; give the list of accepted connections."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):  # the listener is shut down
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        use_account(monkeypatch, f"http://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setattr(token_sources, "_READ_TIMEOUT_S", 0.05)
        yield taken
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in taken:
        connection.close()


@pytest.fixture
def refusing_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Simulate an AWS that refuses every call; give its error message."""
    message = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized"

    class Refusal(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"__type": "AccessDeniedException", "Message": message}).encode()
            self.send_response(400)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        use_account(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        yield message
        server.shutdown()
        thread.join()
