"""What is expensive to make is made once for the whole run, even if several processes share the tests."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import pytest

__all__ = ["Once", "once"]

T = TypeVar("T")


class Once(Protocol):
    """Gives what the first process made."""

    def __call__(self, name: str, make: Callable[[Path], T]) -> T:
        """Make it, unless it is there.

        Args:
            name: its name.
            make: called with an empty folder; returns something that can be pickled.
        """


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Once]:
    """Give a function that makes things once for all processes; the last one to end deletes them."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with ExitStack() as until_the_end:
        yield lambda name, make: until_the_end.enter_context(_made(shared / name, make))


@contextmanager
def _made(folder: Path, make: Callable[[Path], T]) -> Iterator[T]:
    made, lock = folder.with_suffix(".pickle"), folder.with_suffix(".lock")
    with folder.with_suffix(".users").open("w") as users:
        with _alone(lock):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)  # left by a process that failed
                folder.mkdir()
                made.write_bytes(pickle.dumps(make(folder)))
        loaded: Any = pickle.loads(made.read_bytes())
        yield loaded
        with _alone(lock):
            if _is_last(users):
                made.unlink()
                shutil.rmtree(folder)  # it may be large, and pytest keeps folders for three runs


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
