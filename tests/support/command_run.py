"""Running a command: in the test's process, or in a new process on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from lib.kairo_metrics.cli import main
from tests.support.dev_server import REPOSITORY

__all__ = ["Command", "Output", "command", "on_terminal"]


@dataclass(frozen=True)
class Output:
    """The result of a command.

    Args:
        code: its exit code.
        out: what it printed.
        err: what it printed to stderr.
    """

    code: int
    out: str
    err: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[list[str]]:
        """Return the words of each line."""
        return [line.split() for line in self.out.splitlines()]


Command = Callable[..., Output]


@pytest.fixture
def command(redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a function that runs a command against the Redis of this test, without a terminal."""

    def run(*arguments: str, **environ: str) -> Output:
        monkeypatch.delenv("VERCEL_ENV", raising=False)
        for name, value in {"METRICS_NAMESPACE": "development", "REDIS_URL": redis_url, **environ}.items():
            monkeypatch.setenv(name, value)
        code = main(arguments)
        return Output(code, *capsys.readouterr())

    return run


def on_terminal(arguments: list[str], environ: dict[str, str], answer: str = "", to: str = "") -> Output:
    """Run a command on a new terminal; type `answer` when its output ends with `to`."""
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "VERCEL_ENV"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "lib.kairo_metrics", *arguments],
        cwd=REPOSITORY,
        env={**inherited, "TERM": "xterm", "METRICS_NAMESPACE": "development", **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    deadline_s = time.monotonic() + 60
    try:
        while time.monotonic() < deadline_s:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # the other side is closed
                break
            shown += piece
            if to and shown.endswith(to.encode()):
                os.write(ours, f"{answer}\n".encode())
                to = ""
    finally:
        if time.monotonic() >= deadline_s:
            process.kill()
        code = process.wait(60)
        os.close(ours)
    return Output(code, shown.decode())
