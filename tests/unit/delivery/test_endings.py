"""The end of a program: what its last function has counted is sent, and no function fails because of the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from lib.kairo_metrics import measured
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.model.delivery_metrics import BATCHES
from tests.support.instance import samples
from tests.support.recording import Recording

LAST = 'function_invocations_total{function="last",outcome="success"}'


async def test_a_flush_that_ended_with_its_event_loop_is_made_at_the_exit(recording: Recording) -> None:
    """A function that a coroutine calls, and after which the program ends, is counted."""

    @measured
    def last() -> None: ...

    flusher = recording.pipeline.flusher
    last()
    flush = flusher._flushes[asyncio.get_running_loop()]
    flush.cancel()  # as `asyncio.run` does at its end
    await asyncio.wait({flush})
    assert LAST not in await samples(recording.store, LAST)
    await asyncio.to_thread(process_pipeline._flush_at_exit)
    assert (await samples(recording.store, LAST))[LAST] == 1


async def test_a_program_that_left_nothing_to_its_exit_sends_nothing_then(recording: Recording) -> None:
    """A command that only imports the app, as the migrations of a database, does not look for the store."""
    recording.pipeline.flusher.recorder.count(BATCHES, "lost", 1)
    assert recording.pipeline.flusher.pending
    await asyncio.to_thread(process_pipeline._flush_at_exit)
    assert recording.pipeline.flusher.pending, "it was not sent"


async def test_a_store_that_can_not_be_imported_fails_no_function(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that outlives the main thread can't import everything; its function returns all the same."""

    def load(_store: object) -> None:
        raise RuntimeError("can't register atexit after shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(type(recording.store), "load", load)
        assert await asyncio.to_thread(measured("last")(lambda: 3)) == 3
    assert (await recording.samples(LAST))[LAST] == 1


SCRIPT = """
import os, threading
os.environ.update(ENABLE_METRICS="true", METRICS_AUTH_TOKEN="t", REDIS_URL="redis://127.0.0.1:1/0")
from lib.kairo_metrics import measured
threading.Thread(target=measured("job")(lambda: print("done"))).start()
"""


def test_a_thread_of_a_program_that_ends_does_its_work() -> None:
    """A measured function runs in a thread that begins as the program ends, as it would without metrics."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "done\n"
    assert "Traceback" not in ended.stderr
