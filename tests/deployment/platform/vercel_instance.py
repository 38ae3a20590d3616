"""Runs one instance of a built function as Vercel does: its runtime, a socket for its reports, and a proxy."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.deployment.platform.vercel_build import Build
from tests.deployment.platform.vercel_ipc import PATIENCE_S, Ipc

__all__ = ["Answer", "VercelInstance", "running_instance"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The client's response, and the invocation that sent it."""

    invocation: int
    response: httpx.Response


class VercelInstance:
    """A running instance, as the platform's proxy uses it.

    Args:
        process: the runtime.
        ipc: the socket for its reports.
        port: its HTTP port on the loopback address.
        start_s: seconds from the start of the process to `server-started`.

    Attributes:
        requests: the number of requests so far, which is the number of the last invocation.
    """

    def __init__(self, process: subprocess.Popen[bytes], ipc: Ipc, port: int, start_s: float) -> None:
        self.process = process
        self.ipc = ipc
        self.start_s = start_s
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S)
        self._lock = threading.Lock()
        self.requests = 0

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None, **body: Any) -> Answer:
        """Pass on a client's request, and return the response; the invocation may go on after it."""
        number, internal = self._invoke()
        response = self._client.request(method, path, headers={**(headers or {}), **internal}, **body)
        return Answer(number, response)

    def leave(self, path: str) -> int:
        """Send a GET, hang up at the beginning of the response, and return the number of the invocation."""
        number, internal = self._invoke()
        with self._client.stream("GET", path, headers=internal) as response:
            next(response.iter_raw())
        return number

    def _invoke(self) -> tuple[int, dict[str, str]]:
        """Return the number of a new invocation, and the headers that name it."""
        with self._lock:
            self.requests += 1
            number = self.requests
        return number, {
            "x-vercel-internal-invocation-id": f"invocation-{number}",
            "x-vercel-internal-request-id": str(number),
        }

    def freeze(self) -> None:
        """Stop the process between two invocations, as the platform does."""
        self.process.send_signal(signal.SIGSTOP)

    def terminate(self) -> int:
        """Send SIGTERM, continue the process if it is frozen, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGCONT)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Close the proxy's connections, and kill the process if it still runs."""
        self._client.close()
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running_instance(build: Build, name: str, env: Mapping[str, str]) -> Iterator[VercelInstance]:
    """Run an instance of the function `name` with these environment variables until the block ends."""
    function = build.functions[name]
    # A socket's path is limited to about a hundred characters, so it can't be in the test's own folder.
    with tempfile.TemporaryDirectory(prefix="vercel-") as folder:
        ipc_path = Path(folder, "ipc")
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "VERCEL": "1",
            "VERCEL_ENV": "production",
            "VERCEL_REGION": "iad1",
            "VERCEL_IPC_PATH": str(ipc_path),
            "TMPDIR": folder,
            **function.settings["environment"],
            **env,
        }
        with Ipc(ipc_path) as ipc:
            began_s = time.perf_counter()
            process = subprocess.Popen(
                [build.tools.python, "vc__handler__python.py"],
                cwd=function.root,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            try:
                started = ipc.wait_until_started()
            except BaseException:
                process.kill()
                process.wait()
                raise
            instance = VercelInstance(process, ipc, started["httpPort"], time.perf_counter() - began_s)
            try:
                yield instance
            finally:
                instance.close()
