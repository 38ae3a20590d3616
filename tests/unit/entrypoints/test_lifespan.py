"""One app's startup and shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from litestar import Litestar
from quart import Quart
from starlette.applications import Starlette

from lib.kairo_metrics.entrypoints.lifespan import Lifespan
from lib.kairo_metrics.errors import LifespanError


def app_of(*answers: str) -> Any:
    """Make an app that gives one answer to each lifespan event."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        for answer in answers:
            await receive()
            await send({"type": f"lifespan.{answer}", "message": "no database"})

    return app


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
async def test_the_state_is_there_until_the_shutdown(framework: Any) -> None:
    """What Starlette's and FastAPI's lifespan yields is the state, and its second half runs at the shutdown."""
    order = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        order.append("up")
        app.state.pool = "pool"
        yield {"tenant": "acme"}
        order.append("down")

    app = framework(lifespan=lifespan)
    running = Lifespan(app, {})
    assert await running.startup()
    assert (app.state.pool, running.state, order) == ("pool", {"tenant": "acme"}, ["up"])
    await running.shutdown(5)
    await running.shutdown(5)
    assert order == ["up", "down"]


@pytest.mark.parametrize("framework", ["litestar", "quart"])
async def test_the_hooks_of_other_frameworks_run(framework: str) -> None:
    """Litestar's and Quart's own hooks for startup and shutdown run."""
    order: list[str] = []
    if framework == "litestar":
        app: Any = Litestar(on_startup=[lambda: order.append("up")], on_shutdown=[lambda: order.append("down")])
    else:
        app = Quart("app")
        app.before_serving(lambda: order.append("up"))
        app.after_serving(lambda: order.append("down"))
    running = Lifespan(app, {})
    assert await running.startup()
    await running.shutdown(5)
    assert order == ["up", "down"]


async def test_a_failed_startup_may_be_tried_again() -> None:
    """The error has the app's reason; a later attempt begins with an empty state."""
    attempts = []

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any]]:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError("no database")
        yield {"attempt": len(attempts)}

    running = Lifespan(Starlette(lifespan=lifespan), {})
    running.state["left"] = "over"
    with pytest.raises(LifespanError, match=r"(?s)the app's startup failed.*ConnectionError: no database"):
        await running.startup()
    await running.shutdown(5)
    assert await running.startup()
    assert running.state == {"attempt": 2}
    await running.shutdown(5)


async def _raises(*_: Any) -> None:
    raise ValueError("only http")


async def _raises_later(_scope: Any, receive: Any, _send: Any) -> None:
    await receive()
    raise KeyError("path")


async def _returns(*_: Any) -> None:
    """Take no notice of the scope's type."""


async def _answers_at_once(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer everything as if it were a request."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


@pytest.mark.parametrize("app", [_raises, _raises_later, _returns, _answers_at_once])
async def test_an_app_without_lifespan_is_no_error(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """An app that does not know lifespan is told apart, without an error or a line in the log."""
    running = Lifespan(app, {})
    assert not await running.startup()
    await running.shutdown(5)
    assert caplog.record_tuples == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (app_of("startup.complete", "shutdown.failed"), "the app's shutdown failed: no database"),
        (app_of("startup.complete"), "the app's shutdown failed: ended"),
    ],
)
async def test_a_failed_shutdown_has_a_reason(app: Any, reason: str) -> None:
    """An app that can't shut down says why."""
    running = Lifespan(app, {})
    assert await running.startup()
    with pytest.raises(LifespanError) as error:
        await running.shutdown(5)
    assert str(error.value) == reason


async def test_a_shutdown_that_hangs_is_left() -> None:
    """An app that does not answer is not waited for longer than the limit."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.Event().wait()

    running = Lifespan(app, {})
    assert await running.startup()
    with pytest.raises(LifespanError, match=r"no answer within 0\.01 s"):
        await running.shutdown(0.01)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_startup_leaves_nothing_behind() -> None:
    """A server that is stopped while an app starts does not leave the app's startup running."""

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        await asyncio.Event().wait()

    starting = asyncio.create_task(Lifespan(app, {}).startup())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    assert asyncio.all_tasks() == {asyncio.current_task()}
