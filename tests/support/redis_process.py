"""A Redis that can be stopped, killed and started again, with the same port and its files on disk."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from lib.kairo_metrics.dev.private_redis import find_binary
from tests.support.ports import free_port

__all__ = ["RedisProcess", "paused_writes"]

_STARTED_WITHIN_S = 30.0


@contextmanager
def paused_writes(client: redis.Redis) -> Iterator[None]:
    """Let Redis delay all writes until the block ends."""
    client.client_pause(60_000, all=False)
    try:
        yield
    finally:
        client.client_unpause()


class RedisProcess:
    """A server that writes a snapshot only on demand.

    Args:
        folder: for its files.

    Attributes:
        url: its address, the same after every start.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client = redis.Redis.from_url(self.url)
        self._process = self._start()

    def restart(self) -> None:
        """Stop it after a snapshot, and start it again."""
        with suppress(redis.ConnectionError):  # it closes the connection, as SHUTDOWN does
            self.client.shutdown(save=True)
        self._process.wait()
        self._process = self._start()

    def save(self) -> None:
        """Write a snapshot."""
        self.client.save()

    def kill_and_start(self) -> None:
        """Kill it with SIGKILL, and start it from its last snapshot."""
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Let it refuse new connections until the block ends; open ones stay."""
        self.client.config_set("port", 0)
        try:
            yield
        finally:
            self.client.config_set("port", self._port)

    def close(self) -> None:
        """End it."""
        self.client.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [str(find_binary()), "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--save", "", "--appendonly", "no"]
        command += ["--repl-diskless-sync-delay", "0"]  # a replica's first synchronization starts at once
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + _STARTED_WITHIN_S
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert process.poll() is None, "Redis did not start"
                assert time.monotonic() < deadline_s, "Redis does not answer"
                time.sleep(0.02)
            else:
                return process
