"""One instance on AWS Lambda: its event loop and the app's startup."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lib.kairo_metrics.entrypoints.lambda_instance import LambdaInstance
from lib.kairo_metrics.entrypoints.lifespan import Lifespan
from lib.kairo_metrics.errors import LifespanError

pytestmark = pytest.mark.usefixtures("event_loop_of_lambda")


class App:
    """Counts its startups, remembers their event loops, and can fail."""

    def __init__(self) -> None:
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.failures = 0
        self.shutdowns = 0

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        await receive()
        self.loops.append(asyncio.get_running_loop())
        failed = self.failures > 0
        self.failures -= failed
        await send({"type": "lifespan.startup.failed" if failed else "lifespan.startup.complete", "message": "no disk"})
        await receive()
        self.shutdowns += 1
        await send({"type": "lifespan.shutdown.complete"})


def instance_of(app: Callable[..., Any], *, is_required: bool = False) -> LambdaInstance:
    return LambdaInstance(Lifespan(app, {}), is_required=is_required)


def test_the_startup_is_run_once_in_the_current_loop(event_loop_of_lambda: asyncio.AbstractEventLoop) -> None:
    """What a module has opened in the current event loop and what the startup opens are of one loop."""
    app = App()
    instance = instance_of(app)
    assert app.loops == []
    for _ in range(3):
        instance.start()
    assert app.loops == [event_loop_of_lambda]


def test_the_loop_survives_asyncio_run(event_loop_of_lambda: asyncio.AbstractEventLoop) -> None:
    """A program that calls `asyncio.run`, which takes the current loop away, is served in the same loop as before."""
    app = App()
    instance = instance_of(app)
    instance.start()
    asyncio.run(asyncio.sleep(0))
    instance.start()
    assert asyncio.get_event_loop() is event_loop_of_lambda
    assert len(app.loops) == 1


def test_a_loop_is_made_if_there_is_none() -> None:
    """A module that calls `asyncio.run` before its first request, and so has no current loop, is served."""
    asyncio.run(asyncio.sleep(0))
    app = App()
    instance_of(app).start()
    [made] = app.loops
    assert asyncio.get_event_loop() is made
    _close(made)


def test_a_closed_loop_is_replaced() -> None:
    """If somebody closes the loop, the app is started again in another one."""
    app = App()
    instance = instance_of(app)
    for starts in (1, 2):
        asyncio.set_event_loop(asyncio.new_event_loop())
        instance.start()
        instance.start()
        assert len(app.loops) == starts
        assert asyncio.get_event_loop() is app.loops[-1]
        _close(app.loops[-1])


def _close(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(_end_all())
    loop.close()


async def _end_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_failed_startup_is_an_error_each_time_and_tried_again() -> None:
    """Each invocation gets the error until the startup succeeds; after that it is not run again."""
    app = App()
    app.failures = 2
    instance = instance_of(app)
    for _ in range(2):
        with pytest.raises(LifespanError, match="the app's startup failed\nno disk"):
            instance.start()
    instance.start()
    instance.start()
    assert len(app.loops) == 3


async def plain(*_: Any) -> None:
    """Know no lifespan."""


def test_a_lifespan_may_be_required() -> None:
    """An app without lifespan is served, unless the user has said that it has one."""
    instance_of(plain).start()
    instance = instance_of(plain, is_required=True)
    for _ in range(2):
        with pytest.raises(LifespanError, match="lifespan is 'on', and the app answers no lifespan event"):
            instance.start()


@pytest.mark.parametrize(
    ("kind", "starts"),
    [("on-demand", 0), ("snap-start", 0), ("provisioned-concurrency", 1), ("lambda-managed-instances", 1)],
)
def test_instances_that_are_kept_ready_are_started_early(
    kind: str, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With provisioned concurrency no request waits for the startup; a snapshot has none of its connections."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
    app = App()
    instance = instance_of(app)
    assert len(app.loops) == starts
    instance.start()
    assert len(app.loops) == 1


def test_an_early_startup_that_fails_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the startup fails in the init phase, the log has the reason, and the first request tries it again."""
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")
    app = App()
    app.failures = 1
    instance = instance_of(app)
    assert caplog.messages == ["the app's startup failed\nno disk"]
    instance.start()
    assert len(app.loops) == 2


@pytest.mark.parametrize("on_lambda", [True, False])
def test_sigterm_is_ours_only_on_lambda(monkeypatch: pytest.MonkeyPatch, *, on_lambda: bool) -> None:
    """On Lambda a SIGTERM runs the shutdown and then what was set before; elsewhere the signal is left alone."""
    got = []
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    if on_lambda:
        monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
    before = signal.signal(signal.SIGTERM, lambda *_: got.append("theirs"))
    try:
        app = App()
        instance_of(app).start()
        signal.raise_signal(signal.SIGTERM)
        assert (app.shutdowns, got) == (int(on_lambda), ["theirs"])
    finally:
        signal.signal(signal.SIGTERM, before)


TESTED = """
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from lib.kairo_metrics import lambda_handler
from tests.support.aws_events import lambda_at_edge

@asynccontextmanager
async def lifespan(app):
    yield
    print("shutdown")

handler = lambda_handler(Starlette(lifespan=lifespan))
assert handler(lambda_at_edge("/"), None)["status"] == 404
print("ends")
"""


def test_a_process_that_ends_by_itself_shuts_down() -> None:
    """A user's test that calls the handler ends with the app's shutdown, and without a complaint about a task."""
    ran = subprocess.run([sys.executable, "-c", TESTED], capture_output=True, text=True, check=True)
    assert (ran.stdout.split(), ran.stderr) == (["ends", "shutdown"], "")
