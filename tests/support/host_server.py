"""The production server, or a host's own command that starts it: its own process, on a free port."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from tests.support.dev_server import REPOSITORY
from tests.support.ports import free_port

__all__ = ["HostServer", "host_server", "starting_host_server"]

SERVE = (sys.executable, "-m", "lib.kairo_metrics", "serve")


class HostServer:
    """A running server.

    Args:
        process: the server, in its own process group.
        port: its TCP port on the loopback address.
        log: the file with its output.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    @property
    def output(self) -> str:
        """What it has printed so far, errors included."""
        return self._log.read_text(errors="replace")

    def wait_until_it_serves(self, path: str = "/api/health", timeout_s: float = 30) -> None:
        """Wait until it answers, or fail with its output."""
        deadline = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self.url + path)
                return
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.output}"
            assert time.monotonic() < deadline, f"the server does not answer:\n{self.output}"
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 20) -> int:
        """Send the signal to this one process, wait, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextlib.contextmanager
def host_server(
    env: Mapping[str, str] | None = None, *, cwd: Path = REPOSITORY, command: Sequence[str] = SERVE
) -> Iterator[HostServer]:
    """Serve until the block ends; then SIGTERM must end the server with code 0.

    Args:
        env: its variables, besides `PORT` and those that every program needs.
        cwd: the folder it starts in.
        command: the command that starts it.
    """
    with starting_host_server(env, cwd=cwd, command=command) as server:
        server.wait_until_it_serves()
        yield server
        if server.process.poll() is None:
            assert server.stop() == 0, server.output


@contextlib.contextmanager
def starting_host_server(
    env: Mapping[str, str] | None = None, *, cwd: Path = REPOSITORY, command: Sequence[str] = SERVE
) -> Iterator[HostServer]:
    """Start the server without waiting for it, and end it after the block in any case."""
    port = free_port()
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="host-server-") as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                list(command),
                cwd=cwd,
                env={**inherited, "PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield HostServer(process, port, log)
        finally:
            with contextlib.suppress(ProcessLookupError):  # the group has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
