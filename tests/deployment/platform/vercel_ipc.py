"""The socket on which an instance of a function reports to the platform."""

from __future__ import annotations

import base64
import json
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["PATIENCE_S", "Ipc"]

# How long a test waits for a message; only a failing test waits that long.
# A busy machine may take long to start an instance.
PATIENCE_S = 120


class Ipc:
    """The socket on which an instance reports: JSON messages, each ending with a NUL.

    Attributes:
        log: the output and the log lines of the function.
    """

    def __init__(self, path: Path) -> None:
        self.log = ""
        self._started: dict[str, Any] | None = None
        self._failure = ""
        self._ended: set[int] = set()
        self._news = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(PATIENCE_S)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.join(PATIENCE_S)
        self._listener.close()

    def wait_until_started(self) -> dict[str, Any]:
        """Return the content of `server-started`."""
        with self._news:
            self._news.wait_for(lambda: self._started or self._failure, PATIENCE_S)
            assert self._started, f"the instance did not start: {self._failure}\n{self.log}"
            return self._started

    def wait_until_ended(self, invocation: int) -> None:
        """Wait for the `end` of an invocation; after it the platform may freeze the instance."""
        with self._news:
            over = self._news.wait_for(lambda: invocation in self._ended or self._failure, PATIENCE_S)
            assert over, f"invocation {invocation} did not end:\n{self.log}"
            assert invocation in self._ended, f"{self._failure}\n{self.log}"

    def ends_within(self, invocation: int, seconds: float) -> bool:
        """Tell whether the `end` of an invocation arrives in this time."""
        with self._news:
            return self._news.wait_for(lambda: invocation in self._ended, seconds)

    def has_ended(self, invocation: int) -> bool:
        """Tell whether the `end` of an invocation has arrived."""
        with self._news:
            return invocation in self._ended

    def _read(self) -> None:
        try:
            channel, _ = self._listener.accept()
        except TimeoutError:
            self._fail("it has not reported")
            return
        pending = b""
        with channel:
            while data := channel.recv(1 << 16):
                *messages, pending = (pending + data).split(b"\0")
                for message in messages:
                    self._take(json.loads(message))
        self._fail("it has left")

    def _take(self, message: dict[str, Any]) -> None:
        payload = message["payload"]
        with self._news:
            match message["type"]:
                case "server-started":
                    self._started = payload
                case "unrecoverable-error":
                    self.log += payload["message"]
                case "log":
                    self.log += base64.b64decode(payload["message"]).decode()
                case "end":
                    self._ended.add(int(payload["context"]["requestId"]))
            self._news.notify_all()

    def _fail(self, reason: str) -> None:
        with self._news:
            self._failure = reason
            self._news.notify_all()
