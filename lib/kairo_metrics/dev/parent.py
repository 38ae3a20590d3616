"""The process that started this one, such as make, and whether it is on its way out."""

from __future__ import annotations

import os
import signal
from pathlib import Path

__all__ = ["Parent"]

_ENDING = (signal.SIGINT, signal.SIGHUP)


class Parent:
    """The parent process, watched from the moment this object is made.

    A terminal sends Ctrl-C to make and to us. Who sends SIGINT or SIGHUP to make alone gets a make that waits
    for its children and tells them nothing: all that shows is that it no longer catches the signal.
    """

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._caught_at_first = self._caught()

    def is_leaving(self) -> bool:
        """Tell whether the parent is gone, or (where there is /proc) has stopped catching an ending signal."""
        return os.getppid() != self._pid or bool(self._caught_at_first - self._caught())

    def _caught(self) -> set[signal.Signals]:
        try:
            status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:  # no /proc here, or the parent is gone
            return set()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        mask = int(fields["SigCgt"], 16)
        return {number for number in _ENDING if mask >> (number - 1) & 1}
