"""Locks that no forked child inherits held."""

from __future__ import annotations

import os
import threading

__all__ = ["LOADING", "fork_lock", "hold_at_forks"]


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
    hold_at_forks(lock)
    return lock


def hold_at_forks(lock: threading.RLock) -> None:
    """Let each fork from now on wait for a lock. Of several, a fork takes the one first that came here last."""
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


# Held while a thread imports the store, which may take a quarter of a second. A child that is forked meanwhile could
# never import it: Python's own lock would stay held. See `instruments/values`, which lets forks wait for it.
LOADING = threading.RLock()
