"""Flushes while threads serve something."""

from __future__ import annotations

import threading

from lib.kairo_metrics.delivery.thread_ticker import ThreadTicker


def test_a_thread_ticks_while_others_serve_or_something_is_pending() -> None:
    """The thread ends when nothing is being served and nothing waits to be sent, and begins again with the next."""
    naps: list[float] = []
    nap, woken = threading.Semaphore(0), threading.Semaphore(0)
    ticks: list[None] = []
    pending = True

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        woken.release()
        assert nap.acquire(timeout=30)

    def wake() -> None:
        nap.release()
        assert woken.acquire(timeout=30)

    ticker = ThreadTicker(2.0, lambda: ticks.append(None), lambda: pending, sleep)
    with ticker.serving(), ticker.serving():
        assert woken.acquire(timeout=30)
        wake()
        assert len(ticks) == 1
    wake()
    assert len(ticks) == 2, "something is pending"
    pending = False
    thread = next(one for one in threading.enumerate() if one.name == "kairo_metrics ticker")
    nap.release()
    thread.join(30)
    assert len(ticks) == 2
    with ticker.serving():
        assert woken.acquire(timeout=30)
    nap.release()
    assert naps == [2.0] * 4


def test_a_stopped_thread_takes_nothing_from_the_next_pipeline() -> None:
    """When another pipeline is opened, as tests do, the ticker of the one before sends nothing of it."""
    naps = threading.Semaphore(0)
    threads: list[threading.Thread] = []
    ticks: list[None] = []

    def sleep(_seconds: float) -> None:
        threads.append(threading.current_thread())
        naps.release()
        assert stopped.wait(30)

    stopped = threading.Event()
    ticker = ThreadTicker(2.0, lambda: ticks.append(None), lambda: True, sleep)
    with ticker.serving():
        assert naps.acquire(timeout=30)
        ticker.stop()
        stopped.set()
        threads[0].join(30)
    with ticker.serving():
        assert len(threads) == 1
    assert ticks == []
