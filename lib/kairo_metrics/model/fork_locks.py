"""The locks for which a fork waits, so that a child finds none of them held, and no work half done.

The thread that holds a lock does not exist in a child, and so never releases it there. All are reentrant: a signal
handler may fork or flush in a thread that holds one.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol

__all__ = ["LOADING", "SETUP_LOCK", "SHARING", "Forking", "prepare_last"]

# Held while the process's instruments, its catalogue and its pipeline are set up: each of them exists once.
SETUP_LOCK = threading.RLock()
# Held while an instrument gets its values, since it may be registered in two registries at once, and while a label of
# an app gets a further value.
SHARING = threading.RLock()
# Held while a thread imports the store, which may take a quarter of a second. A child that is forked meanwhile could
# never import it: Python's own lock would stay held.
LOADING = threading.RLock()

# A thread that holds one of them takes only those after it, and so does a fork.
_IN_ORDER = (SETUP_LOCK, SHARING, LOADING)


class Forking(Protocol):
    """What has more to do at a fork than to hold a lock."""

    def prepare_fork(self) -> None:
        """Make ready, and take a lock."""

    def end_fork(self) -> None:
        """Go on in the parent."""

    def start_in_child(self) -> None:
        """Begin in the child."""


_last: list[Forking] = []


def prepare_last(one: Forking) -> None:
    """Let each fork from now on prepare this, too, when it holds all locks."""
    _last.append(one)


def _prepare() -> None:
    for lock in _IN_ORDER:
        lock.acquire()
    for one in _last:
        one.prepare_fork()


def _go_on() -> None:
    for one in _last:
        one.end_fork()
    _release()


def _start() -> None:
    for one in _last:
        one.start_in_child()
    _release()


def _release() -> None:
    for lock in reversed(_IN_ORDER):
        lock.release()


os.register_at_fork(before=_prepare, after_in_parent=_go_on, after_in_child=_start)
