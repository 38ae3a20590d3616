"""Standard output and error: colour and progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from typing import Self, TextIO

from ..config.environment import environment

__all__ = ["Progress", "Style", "Terminal", "cell_width", "printable"]

Style = str
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_REDRAW_S = 0.1
_SOON_S = 0.5  # shorter work shows no progress


class Terminal:
    """Standard output and standard error.

    Args:
        out: for results; by default standard output.
        err: for progress and questions; by default standard error.
        plain: whether to print without colour; by default as NO_COLOR and TERM say.
    """

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None, *, plain: bool | None = None) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        plain = _wants_no_colour() if plain is None else plain
        self.is_terminal = self.out.isatty()
        self._coloured = self.is_terminal and not plain

    @property
    def width(self) -> int | None:
        """The terminal's columns; None if the output is not a terminal, where lines may have any length."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def can_print(self, text: str) -> bool:
        """Tell whether the output's encoding has these characters."""
        try:
            text.encode(self.out.encoding or "ascii")
        except UnicodeEncodeError:
            return False
        return True

    def write_line(self, text: str = "") -> None:
        """Print a line. Characters that the output's encoding lacks become question marks."""
        encoding = self.out.encoding or "utf-8"
        self.out.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        if self.is_terminal:
            self.out.flush()

    def style(self, text: str, *styles: Style) -> str:
        """Return the text in these styles, if the output has colour."""
        if not self._coloured or not styles:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


class Progress:
    """A line on standard error that shows the progress of long work; only on a terminal.

    Args:
        terminal: where to print.
        what: what is counted, such as "series read".
    """

    def __init__(self, terminal: Terminal, what: str) -> None:
        self._err = terminal.err
        self._shown = terminal.err.isatty()
        self._what = what
        self._next_s = time.monotonic() + _SOON_S
        self._drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._err.write("\r\x1b[K")
            self._err.flush()

    def at(self, count: int, total: int | None = None) -> None:
        """Show how much is done, and of how much if that is known."""
        now_s = time.monotonic()
        if self._shown and now_s >= self._next_s:
            self._next_s, self._drawn = now_s + _REDRAW_S, True
            of = f" of {total} ({min(1.0, count / total):.0%})" if total else ""
            self._err.write(f"\r\x1b[K{self._what}: {count}{of}")
            self._err.flush()


def _wants_no_colour() -> bool:
    """Tell whether the environment asks for output without colour (https://no-color.org)."""
    variables = environment()
    return bool(variables.get("NO_COLOR")) or variables.get("TERM") == "dumb"


def printable(text: str) -> str:
    r"""Escape control characters, which a terminal would obey. A label's value may come from any client.

    Example:
        >>> printable("red \x1b[31m")
        'red \\x1b[31m'
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def cell_width(text: str) -> int:
    """Return how many columns a text takes.

    Example:
        >>> cell_width("route"), cell_width("路")
        (5, 2)
    """
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)
