"""Runs a function under AWS's own runtime client, with a small server for the Lambda Runtime API.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html: the client asks for the next invocation, runs the
handler, and posts its response or its error.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, Self

REPOSITORY = Path(__file__).parents[3]
_RUNTIME = "/2018-06-01/runtime"
_LONGEST_WAIT_S = 60
# The environment of a function on Lambda, and the variables that a process needs here.
_ENVIRONMENT = {
    "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
    "AWS_LAMBDA_FUNCTION_NAME": "kairo",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "LANG": "en_US.UTF-8",
    "PATH": os.environ["PATH"],
    "TZ": ":UTC",
}


class LambdaError(Exception):
    """The function failed while it was loaded or in an invocation: type and message of the error."""


class LambdaFunction:
    """One instance of a function: a process that handles one invocation after another.

    Args:
        server: the Runtime API for it.
        process: the runtime client.
        log: the file for its output.
    """

    def __init__(self, server: _RuntimeAPI, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._server = server
        self._process = process
        self._log = log

    @property
    def output(self) -> str:
        """The output so far."""
        return Path(self._log.name).read_text(errors="replace")

    def wait_until_loaded(self) -> None:
        """Wait until the client has loaded the function and asks for its first event."""
        assert self._server.asked.wait(_LONGEST_WAIT_S), f"the function was not loaded:\n{self.output}"

    def terminate(self) -> int:
        """Send a SIGTERM, as Lambda does if there is an extension, and return the exit code."""
        self._process.terminate()
        return self._process.wait(_LONGEST_WAIT_S)

    def invoke(self, event: Any) -> dict[str, Any]:
        """Send an event, and return the handler's result when the invocation has ended.

        Raises:
            LambdaError: the function could not be loaded, or raised.
        """
        self._server.events.put(json.dumps(event).encode())
        deadline = time.monotonic() + _LONGEST_WAIT_S
        while True:
            ended = self._process.poll() is not None
            with contextlib.suppress(queue.Empty):
                path, answer = self._server.answers.get(timeout=0.1)
                break
            assert not ended, f"the runtime client has ended:\n{self.output}"
            assert time.monotonic() < deadline, f"no answer:\n{self.output}"
        if path.endswith("/error"):
            raise LambdaError(answer["errorType"], answer["errorMessage"])
        document: dict[str, Any] = answer
        return document


@contextlib.contextmanager
def lambda_function(
    handler: str,
    env: Mapping[str, str],
    *,
    bundle: Path = REPOSITORY,
    python: Sequence[str] = (sys.executable,),
) -> Iterator[LambdaFunction]:
    """Run one instance of a function until the block ends.

    Args:
        handler: as in Lambda's configuration, such as `api.metrics.handler`.
        env: the function's variables; nothing else is inherited.
        bundle: the folder that was uploaded; it is the working directory.
        python: the interpreter, with its options.
    """
    with _RuntimeAPI() as server, tempfile.NamedTemporaryFile(prefix="lambda-", suffix=".log") as log:
        process = subprocess.Popen(
            [*python, "-m", "awslambdaric", handler],
            cwd=bundle,
            env={**_ENVIRONMENT, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}", **env},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield LambdaFunction(server, process, log)
        finally:
            process.kill()  # as Lambda ends an instance
            process.wait()


class _RuntimeAPI(ThreadingHTTPServer):
    """A queue of events and a queue of answers; each answer has the path that it was posted to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeRequest)
        self.events: queue.Queue[bytes | None] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.asked = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.events.put(None)  # ends the request for the next event
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the broken connection of a process that was killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _RuntimeRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _RuntimeAPI

    def do_GET(self) -> None:
        if self.path == f"{_RUNTIME}/restore/next":  # a snapshot was taken, and this instance comes from it
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path != f"{_RUNTIME}/invocation/next":
            self.send_error(404)
            return
        self.server.asked.set()
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid.uuid4()))
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + _LONGEST_WAIT_S) * 1000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:kairo")
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self) -> None:
        answer = json.loads(self._body())
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answers.put((self.path, answer))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""
