"""Where the dev server of a project runs, in a file that only its user may read.

The other commands find it there, so nobody copies a port, a token or the address of a private Redis.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .environment import REDIS_URL_VARIABLES

__all__ = ["DevRun", "announced", "find_dev_run", "join_dev_run"]

# What the commands read of a deployment's environment; all that begin with METRICS_ as well.
_VARIABLES = ("ENABLE_METRICS", "VERCEL_ENV", *REDIS_URL_VARIABLES)


@dataclass(frozen=True, slots=True)
class DevRun:
    """A dev server that runs.

    Args:
        url: its address.
        pid: its process.
        variables: those of its environment that the commands read; the token and the address of its Redis are secrets.
    """

    url: str
    pid: int
    variables: Mapping[str, str] = field(repr=False)


@contextlib.contextmanager
def announced(root: Path, url: str) -> Iterator[bool]:
    """Write where the dev server of the project in `root` runs, and remove that at the end of the block.

    Yields whether it could be written. It can't if somebody else owns the folder for such files.
    """
    variables = {name: value for name, value in os.environ.items() if name in _VARIABLES or name.startswith("METRICS_")}
    text = json.dumps({"url": url, "pid": os.getpid(), "variables": variables})
    file = _file(root)
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        is_private = _is_private(file.parent)
        if is_private:
            _write(file, text)
    except OSError:
        is_private = False
    try:
        yield is_private
    finally:
        run = _read(root) if is_private else None
        if run and run.pid == os.getpid():  # a second server of this project may have written its own
            file.unlink(missing_ok=True)


def find_dev_run(folder: Path) -> DevRun | None:
    """Return the dev server that runs for the project that a folder belongs to; None if there is none."""
    here = folder.resolve()
    return next(filter(None, map(_read, (here, *here.parents))), None)


def _read(root: Path) -> DevRun | None:
    file = _file(root)
    try:
        if not _is_private(file.parent):
            return None
        found = json.loads(file.read_text())
        run = DevRun(found["url"], found["pid"], found["variables"])
        os.kill(run.pid, 0)  # sends nothing, and fails if the process has ended
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return run


def join_dev_run(folder: Path) -> DevRun | None:
    """Use the store of the dev server that runs for a folder's project, unless the environment names a store.

    Sets the variables of the environment that are missing. Returns the dev server; None if it is not used.
    """
    if any(os.environ.get(name) for name in REDIS_URL_VARIABLES):
        return None
    run = find_dev_run(folder)
    for name, value in run.variables.items() if run else ():
        os.environ.setdefault(name, value)
    return run


def _file(root: Path) -> Path:
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"kairo-dev-{os.getuid()}"
    return folder / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.json"


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _write(file: Path, text: str) -> None:
    """Write the file as a whole: a command may read it at any moment."""
    new = file.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as output:
        output.write(text)
    new.replace(file)
