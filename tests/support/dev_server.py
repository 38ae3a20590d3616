"""The dev server as a user runs it: its own process, on a free port."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.support.ports import free_port

REPOSITORY = Path(__file__).parents[2]

# Variables of the test run's environment that would change the server.
_FOREIGN = re.compile(
    r"PORT|ENABLE_METRICS|DATABASE_URL|PROMETHEUS_URL|REDIS_URL|REDIS_TLS_URL|KV_URL|CRON_SECRET|VERCEL.*|METRICS_.*"
)


class DevServer:
    """A running `python -m lib.kairo_metrics dev`.

    Args:
        process: the server, in its own process group, as on a terminal.
        port: its TCP port on 127.0.0.1.
        log: the file with its output.
        runtime: the folder in which it says where it runs.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: IO[bytes], runtime: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.runtime = runtime
        self._log = log

    @property
    def output(self) -> str:
        """What it has printed so far, errors included."""
        return Path(self._log.name).read_text(errors="replace")

    @property
    def token(self) -> str:
        """The bearer token that it printed."""
        return self._printed("Token")

    @property
    def redis_url(self) -> str:
        """The URL of its Redis as printed, without a password."""
        return self._printed("Redis")

    def wait_until_ready(self, timeout_s: float = 30) -> None:
        """Wait for the line that names the listening socket, or fail with the output."""
        deadline = time.monotonic() + timeout_s
        while not re.search(r"^Ready\b", self.output, re.MULTILINE):
            assert self.process.poll() is None, f"the dev server ended with {self.process.returncode}:\n{self.output}"
            assert time.monotonic() < deadline, f"the dev server is not ready after {timeout_s} s:\n{self.output}"
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 15) -> int:
        """Send the signal, wait, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def _printed(self, name: str) -> str:
        found = re.search(rf"^  {name}  (\S+)", self.output, re.MULTILINE)
        assert found, f"the dev server printed no {name}:\n{self.output}"
        return found[1]


@contextlib.contextmanager
def dev_server(root: Path = REPOSITORY, env: Mapping[str, str] | None = None) -> Iterator[DevServer]:
    """Serve the functions in `root` until the block ends; then SIGTERM must end the server with code 0.

    Args:
        root: the project's folder.
        env: variables on top of the tests' environment, from which the server's settings are removed.
    """
    with starting_dev_server(root, env) as server:
        server.wait_until_ready()
        yield server
        if server.process.poll() is None:
            assert server.stop() == 0, server.output


@contextlib.contextmanager
def starting_dev_server(
    root: Path = REPOSITORY, env: Mapping[str, str] | None = None, command: Sequence[str] | None = None
) -> Iterator[DevServer]:
    """Start the server without waiting for it, and end it after the block in any case.

    Args:
        root: as for `dev_server`.
        env: the same.
        command: another command that starts the server, such as make.
    """
    inherited = {name: value for name, value in os.environ.items() if not _FOREIGN.fullmatch(name)}
    port = free_port()
    with (
        tempfile.NamedTemporaryFile(prefix="dev-server-", suffix=".log") as log,
        tempfile.TemporaryDirectory(prefix="dev-run-") as runtime,  # so that no command of another test finds it
    ):
        with _default_signals():
            process = subprocess.Popen(
                command or [sys.executable, "-m", "lib.kairo_metrics", "dev", "--root", str(root)],
                cwd=REPOSITORY,
                env={**inherited, "PORT": str(port), "XDG_RUNTIME_DIR": runtime, **(env or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield DevServer(process, port, log, Path(runtime))
        finally:
            with contextlib.suppress(ProcessLookupError):  # the group has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def _default_signals() -> Iterator[None]:
    """Start processes that SIGINT and SIGHUP end, also where the tests ignore both: after `nohup`, or behind `&`."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
