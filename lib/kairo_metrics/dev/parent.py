"""The process that started this one, such as make, and whether it is ending."""

from __future__ import annotations

import os
import signal
from pathlib import Path

__all__ = ["Parent"]

_ENDING = (signal.SIGINT, signal.SIGHUP)


class Parent:
    """Watches the parent process, from the moment this object is made.

    Ctrl-C in a terminal signals make and this process. A SIGINT or SIGHUP to make alone does not reach this process:
    make then waits for it to end. The only visible change is that make no longer catches that signal.
    """

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._caught_at_first = self._caught()

    def is_ending(self) -> bool:
        """Tell whether the parent has ended or (seen only with /proc) no longer catches one of the signals."""
        return os.getppid() != self._pid or bool(self._caught_at_first - self._caught())

    def _caught(self) -> set[signal.Signals]:
        try:
            status = Path(f"/proc/{self._pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:  # there is no /proc, or the parent has ended
            return set()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        mask = int(fields["SigCgt"], 16)
        return {number for number in _ENDING if mask >> (number - 1) & 1}
