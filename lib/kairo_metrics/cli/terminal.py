"""Where output goes: colour and progress for people at a terminal, plain lines for everything else."""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from typing import Self, TextIO

from ..config.settings import environment

__all__ = ["Progress", "Style", "Terminal", "cell_width", "printable"]

Style = str
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_REDRAW_S = 0.1
_SOON_S = 0.5  # what is done by then needs no progress


class Terminal:
    """Standard output and standard error, and what they can show.

    Args:
        out: what takes results.
        err: what takes progress and questions.
        plain: whether colour is unwelcome all the same.
    """

    def __init__(self, out: TextIO | None = None, err: TextIO | None = None, *, plain: bool | None = None) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        plain = _wants_no_colour() if plain is None else plain
        self.is_terminal = self.out.isatty()
        self._coloured = self.is_terminal and not plain

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where lines may be as long as they are."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def can_print(self, text: str) -> bool:
        """Tell whether the output's encoding has these characters."""
        try:
            text.encode(self.out.encoding or "ascii")
        except UnicodeEncodeError:
            return False
        return True

    def say(self, text: str = "") -> None:
        """Print a line; characters that the output does not have become question marks."""
        encoding = self.out.encoding or "utf-8"
        self.out.write(text.encode(encoding, "replace").decode(encoding) + "\n")
        if self.is_terminal:
            self.out.flush()

    def style(self, text: str, *styles: Style) -> str:
        """Return the text in a colour, where there are colours."""
        if not self._coloured or not styles:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


class Progress:
    """A line on standard error that says how far long work has come; only on a terminal.

    Args:
        terminal: where.
        what: what is being done.
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
        """Say how much is done, of how much where that is known."""
        now_s = time.monotonic()
        if self._shown and now_s >= self._next_s:
            self._next_s, self._drawn = now_s + _REDRAW_S, True
            of = f" of {total} ({min(1.0, count / total):.0%})" if total else ""
            self._err.write(f"\r\x1b[K{self._what}: {count}{of}")
            self._err.flush()


def _wants_no_colour() -> bool:
    """Tell whether colour is unwelcome, whatever output goes to (https://no-color.org)."""
    variables = environment()
    return bool(variables.get("NO_COLOR")) or variables.get("TERM") == "dumb"


def printable(text: str) -> str:
    r"""Show what a terminal would obey instead of print: a label's value may come from anybody.

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
