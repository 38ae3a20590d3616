"""Locks that no forked child inherits held."""

from __future__ import annotations

import os
import threading

__all__ = ["fork_lock"]


def fork_lock() -> threading.RLock:
    """Return a lock for which a fork waits, so that a child never finds it held, nor its work half done.

    The thread that holds a lock does not exist in a child, and so never releases it there. The lock stays registered
    for as long as the process lives, so it belongs to a module and not to an object. It is reentrant: a signal handler
    may fork or flush in a thread that holds it.

    Example:
        >>> with fork_lock():
        ...     pass
    """
    lock = threading.RLock()
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock
