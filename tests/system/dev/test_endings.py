"""However the dev server ends, it leaves no process and no file behind."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.support.dev_project import make_project
from tests.support.dev_server import DevServer, dev_server, starting_dev_server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def temporary_folder() -> Iterator[Path]:
    """Return a folder for TMPDIR whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def redis_pid(server: DevServer) -> int:
    with redis.Redis.from_url(server.redis_url) as client:
        return int(client.info("server")["process_id"])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def soon(condition: Callable[[], bool], timeout_s: float = 60) -> bool:
    """Tell whether `condition` becomes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_leaves_nothing_behind(project: Path, temporary_folder: Path, number: signal.Signals) -> None:
    """After Ctrl-C, SIGTERM or a closed terminal there is no Redis and no file, and each function was shut down."""
    with dev_server(project, {"TMPDIR": str(temporary_folder)}) as server:
        pid = redis_pid(server)
        assert list(temporary_folder.iterdir())
        # Sent to the group, as by a terminal.
        os.killpg(server.process.pid, number)
        assert server.process.wait(60) == 0, server.output
        assert is_gone(pid)
        assert list(temporary_folder.iterdir()) == []
        assert server.output.count("hello has shut down") == 2
        assert "Traceback" not in server.output


def test_a_killed_server_leaves_no_redis(project: Path, temporary_folder: Path) -> None:
    """Even after kill -9, Redis ends and its folder is removed."""
    with dev_server(project, {"TMPDIR": str(temporary_folder)}) as server:
        pid = redis_pid(server)
        server.stop(signal.SIGKILL)
        assert soon(lambda: is_gone(pid))
        assert soon(lambda: not list(temporary_folder.glob("kairo-redis-*")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_it_ends_with_make(project: Path, temporary_folder: Path, number: signal.Signals) -> None:
    """A signal to `make run` alone also ends the server, which leaves nothing behind."""
    command = shlex.join([sys.executable, "-m", "lib.kairo_metrics", "dev", "--with-parent", "--root", str(project)])
    (project / "Makefile").write_text(f"run:\n\t@{command}\n")
    make = ["make", "-f", str(project / "Makefile"), "run"]
    with starting_dev_server(project, {"TMPDIR": str(temporary_folder)}, make) as server:
        server.wait_until_ready()
        pid = redis_pid(server)
        server.stop(number)
        assert soon(lambda: is_gone(pid))
        assert soon(lambda: not list(temporary_folder.iterdir()))
