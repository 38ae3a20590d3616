"""The lock for flushes, as threads wait for it."""

from __future__ import annotations

import threading

from lib.kairo_metrics.delivery.flush_lock import FlushLock

_LONG_S = 3600.0


def test_a_waiting_thread_wakes_when_the_lock_is_released() -> None:
    """Threads that wait for a flush sleep until it ends; they do not ask again and again."""
    lock = FlushLock(_LONG_S)
    holder = lock.acquire()
    assert holder is not None
    woken: list[object] = []

    def wait() -> None:
        while (own := lock.acquire()) is None:
            lock.wait(_LONG_S)
        woken.append(own)
        lock.release(own)

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    lock.release(holder)
    for thread in threads:
        thread.join(30)
    assert len(set(woken)) == 5
    assert lock._turns == []


def test_nobody_waits_for_a_free_lock_or_past_the_timeout() -> None:
    """A thread whose budget ends gives up while another one still holds the lock."""
    lock = FlushLock(_LONG_S)
    lock.wait(_LONG_S)
    assert lock.acquire() is not None
    lock.wait(0.001)
    assert lock.acquire() is None
