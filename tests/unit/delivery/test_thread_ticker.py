"""Flushes while threads serve something."""

from __future__ import annotations

import threading
import time

import pytest

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
    with ticker, ticker:
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
    with ticker:
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
    with ticker:
        assert naps.acquire(timeout=30)
        ticker.stop()
        stopped.set()
        threads[0].join(30)
    with ticker:
        assert len(threads) == 1
    assert ticks == []


def test_a_thread_that_outlives_the_main_thread_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the interpreter ends no thread can be started, and a function that still runs does its work all the same."""

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    ticker = ThreadTicker(2.0, lambda: None, lambda: False)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with ticker:
            assert not ticker._runs
    assert not ticker._active


def test_a_forked_child_ends_what_its_parent_began() -> None:
    """A child that is forked within a request leaves the request, and is flushed while its own next one runs."""
    ticked = threading.Event()
    ticker = ThreadTicker(0.0, ticked.set, lambda: False, lambda _seconds: None)
    ticker.end()
    with ticker:
        assert ticked.wait(30)


def test_a_sleep_that_is_replaced_later_is_the_one_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gevent replaces `time.sleep`, perhaps after the app was loaded. The old one would stop every request."""
    slept, ticked = threading.Event(), threading.Event()
    ticker = ThreadTicker(2.0, ticked.set, lambda: False)
    monkeypatch.setattr(time, "sleep", lambda _seconds: slept.set())
    with ticker:
        assert ticked.wait(30)
    assert slept.is_set()
    ticker.stop()
