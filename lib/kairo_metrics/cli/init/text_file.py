"""A text file of the user's, read so that it can be written again byte for byte."""

from __future__ import annotations

from pathlib import Path

from ..store_access import CommandError

__all__ = ["read_text"]


def read_text(root: Path, path: Path) -> str | None:
    """Return a file's text with its own line breaks, or None if there is no such file.

    Raises:
        CommandError: it can't be read, or is not UTF-8.
    """
    try:
        return (root / path).read_bytes().decode()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise CommandError(f"{path} can't be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise CommandError(f"{path} is not UTF-8 text: {err}") from err
