"""The libraries that are compared, each in an environment of its own, and a running program of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tests.support.dev_server import REPOSITORY

__all__ = ["OURS", "PEERS", "Peer", "Program", "running"]

_PROGRAMS = Path(__file__).parent / "programs"
_ENVIRONMENTS = REPOSITORY / "build" / "peers"


@dataclass(frozen=True, slots=True)
class Peer:
    """One library.

    Args:
        name: as it is shown.
        program: the name of its program.
        packages: what its environment has; none is this project's environment.
        has_network: whether its counts are in Redis.
    """

    name: str
    program: str
    packages: tuple[str, ...] = ()
    has_network: bool = True

    @property
    def python(self) -> Path:
        """The interpreter of its environment, which is made when it is needed first."""
        if not self.packages:
            return Path(sys.executable)
        folder = _ENVIRONMENTS / self.program
        python = folder / "bin" / "python"
        uv = Path(sys.executable).with_name("uv")
        if not python.exists():
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *self.packages], check=True)
        return python


OURS = "Kairo Metrics"
PEERS = (
    Peer("floor: EVALSHA by redis-py", "with_nothing"),
    Peer(OURS, "with_kairo_metrics"),
    Peer("prometheus_client, several processes", "with_several_processes", has_network=False),
    Peer("prometheus-redis-client 0.6.0", "with_redis_client", ("prometheus-redis-client==0.6.0",)),
    Peer("pytheus 0.6.1", "with_pytheus", ("pytheus==0.6.1", "redis==8.1.0")),
    Peer(
        "prometheus-distributed-client 2.1.5",
        "with_distributed_client",
        ("prometheus-distributed-client==2.1.5", "redis==8.1.0"),
    ),
)


class Program:
    """A running program: one process that counts requests."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _ask(self, line: str) -> Any:
        self.begin(line)
        return self.end()

    def begin(self, line: str) -> None:
        """Tell it what to do, without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """Wait for the answer to what it was told."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, f"{self._process.args!r} has ended"
        return json.loads(answer)

    def requests(self, number: int) -> list[float]:
        """Let it count requests, and return the seconds of each."""
        return cast(list[float], self._ask(f"requests {number}")["seconds"])

    def page(self) -> str:
        """Return the text of its page."""
        return cast(str, self._ask("page"))


@contextmanager
def running(peer: Peer, redis_url: str, folder: Path) -> Iterator[Program]:
    """Start a program, and end it with the end of its input.

    Args:
        peer: whose.
        redis_url: where it counts.
        folder: for the files of one that has no network.
    """
    environment = {
        **os.environ,
        "REDIS_URL": redis_url,
        "ENABLE_METRICS": "true",
        "METRICS_AUTH_TOKEN": "peers",
        "METRICS_FLUSH_BUDGET_MS": "10000",
        "PYTHONPATH": str(REPOSITORY / "lib"),
    }
    if not peer.has_network:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    with subprocess.Popen(
        [peer.python, _PROGRAMS / f"{peer.program}.py"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Program(process)
        assert process.stdin is not None
        process.stdin.close()
