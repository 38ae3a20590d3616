"""Measuring functions, and blocks of code."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any, cast

import pytest
from prometheus_client import Counter

from lib.kairo_metrics import instrument, measured
from lib.kairo_metrics.entrypoints import invocation_record
from tests.support.instance import samples
from tests.support.recording import Recording
from tests.support.watched_app import call

STEPS = Counter("steps_of_functions_total", "Steps.", ["step"])


@pytest.fixture(autouse=True)
def cold() -> None:
    """Let each test begin in a cold instance."""
    invocation_record._started.clear()


async def _sent(recording: Recording, prefix: str) -> dict[str, float]:
    """Return what has been sent by now, without a flush."""
    return {key: value for key, value in (await samples(recording.store, prefix)).items() if value}


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (3, "success"),
        (None, "success"),
        ({"batchItemFailures": []}, "success"),
        ({"batchItemFailures": [{"itemIdentifier": "m1"}]}, "partial"),
    ],
)
async def test_a_result_passes_and_is_counted(recording: Recording, result: Any, outcome: str) -> None:
    """A function returns the same object as without the decorator, and what it counted is sent when it returns."""

    @measured
    def nightly_sync(given: Any, *, twice: bool = False) -> Any:
        """Do it."""
        STEPS.labels("work").inc()
        return given if twice else None

    @measured("queue")
    async def consume(given: Any) -> Any:
        return given

    assert await asyncio.to_thread(nightly_sync, result, twice=True) is result
    assert nightly_sync.__doc__ == "Do it."
    assert await consume(result) is result
    assert await _sent(recording, "function_invocations_total") == {
        f'function_invocations_total{{function="nightly_sync",outcome="{outcome}"}}': 1,
        f'function_invocations_total{{function="queue",outcome="{outcome}"}}': 1,
    }
    assert await _sent(recording, "steps_of_functions_total{") == {'steps_of_functions_total{step="work"}': 1}


@pytest.mark.parametrize(
    ("error", "outcome", "errors"),
    [
        (ValueError("no"), "error", 1),
        (KeyboardInterrupt(), "error", 1),
        (SystemExit(2), "error", 1),
        (SystemExit(["no"]), "error", 1),
        (SystemExit(0), "success", 0),
        (asyncio.CancelledError(), "cancelled", 0),
    ],
)
async def test_an_exception_passes_and_is_counted(
    recording: Recording, error: BaseException, outcome: str, errors: int
) -> None:
    """An exception reaches the caller as the same object, and is counted under its class."""

    def fail() -> None:
        with pytest.raises(type(error)) as caught, measured("job"):
            raise error
        assert caught.value is error

    await asyncio.to_thread(fail)
    assert await _sent(recording, "function_invocations_total") == {
        f'function_invocations_total{{function="job",outcome="{outcome}"}}': 1
    }
    kind = f'function_errors_total{{function="job",type="{type(error).__name__}"}}'
    assert await _sent(recording, "function_errors_total") == ({kind: 1} if errors else {})


async def test_a_cold_start_is_counted_once(recording: Recording) -> None:
    """The first invocation in an instance is a cold start; later ones, and steps inside it, are not."""

    @measured
    async def job() -> None:
        with measured("step"):
            STEPS.labels("inside").inc()

    await job()
    await job()
    assert await _sent(recording, "function_cold_starts_total") == {'function_cold_starts_total{function="job"}': 1}
    assert await _sent(recording, "function_duration_seconds_count") == {
        'function_duration_seconds_count{function="job"}': 2,
        'function_duration_seconds_count{function="step"}': 2,
    }


async def test_only_the_outermost_call_flushes(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of a function, a function in a request, and a request in a request do not wait for a flush."""
    flushes: list[str] = []
    flusher = type(recording.pipeline.flusher)
    monkeypatch.setattr(flusher, "after_call", lambda _, **_named: flushes.append("thread"))

    async def after_response(_: Any, **_named: bool) -> None:
        flushes.append("loop")

    monkeypatch.setattr(flusher, "after_response", after_response)

    @measured
    async def inner() -> None:
        with measured("step"):
            pass

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        await inner()
        if scope["path"] == "/outer":
            for _ in range(10):
                await call(measured_app, "GET", "/inner")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    measured_app = instrument(app)
    await call(measured_app, "GET", "/outer")
    assert flushes == ["loop"]
    await asyncio.to_thread(measured(lambda: None))
    assert flushes == ["loop", "thread"]


async def test_a_task_that_outlives_its_request_flushes_itself(recording: Recording) -> None:
    """A function that runs on when the request that started it has ended sends what it counts."""
    answered, done = asyncio.Event(), asyncio.Event()

    @measured
    async def later() -> None:
        await answered.wait()
        STEPS.labels("late").inc()

    tasks = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        tasks.append(asyncio.create_task(later()))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await call(instrument(app), "GET", "/")
    answered.set()
    await tasks[0]
    assert not done.is_set()
    assert await _sent(recording, 'steps_of_functions_total{step="late"}')


async def test_tasks_and_threads_do_not_mix(recording: Recording) -> None:
    """Blocks in several tasks and threads at once are each counted once, under their own names."""

    async def task(name: str) -> None:
        async with measured(name):
            await asyncio.sleep(0)
            with measured("step"):
                await asyncio.sleep(0)

    def thread() -> None:
        for _ in range(50):
            with measured("thread"):
                pass

    threads = [threading.Thread(target=thread) for _ in range(4)]
    for one in threads:
        one.start()
    await asyncio.gather(*(task(f"task{number % 3}") for number in range(30)))
    for one in threads:
        await asyncio.to_thread(one.join)
    counts = await recording.samples("function_duration_seconds_count")
    assert {key: value for key, value in counts.items() if value} == {
        'function_duration_seconds_count{function="task0"}': 10,
        'function_duration_seconds_count{function="task1"}': 10,
        'function_duration_seconds_count{function="task2"}': 10,
        'function_duration_seconds_count{function="step"}': 30,
        'function_duration_seconds_count{function="thread"}': 200,
    }


async def test_methods_keep_their_object(recording: Recording) -> None:
    """A measured method gets its object, and is counted under the name of its class and its own."""
    assert recording

    class Mailer:
        @measured
        def send(self) -> Mailer:
            return self

        @staticmethod
        @measured
        def check() -> int:
            return 1

    mailer = Mailer()
    assert mailer.send() is mailer
    assert Mailer.check() == 1
    counts = await recording.samples("function_invocations_total")
    assert counts['function_invocations_total{function="Mailer.send",outcome="success"}'] == 1


async def test_a_partial_has_the_name_of_its_function(recording: Recording) -> None:
    """Two jobs that are the same kind of partial are told apart."""

    def sync(source: str) -> str:
        return source

    assert measured(partial(sync, "crm"))() == "crm"
    counts = await recording.samples("function_invocations_total")
    assert counts['function_invocations_total{function="sync",outcome="success"}'] == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda: measured(cast("Any", 3)), TypeError),
        (lambda: measured(""), ValueError),
        (lambda: measured("  "), ValueError),
        (lambda: measured(int), TypeError),
        (lambda: measured(staticmethod(len)), TypeError),
        (lambda: measured("x")(_generator), TypeError),
        (lambda: measured(_async_generator), TypeError),
        (lambda: measured().__enter__(), ValueError),
    ],
)
def test_a_wrong_use_is_an_error_with_metrics_off_too(wrong: Any, error: type[Exception]) -> None:
    """What can't be measured is refused where it is written, and not at its first call."""
    with pytest.raises(error, match=r"measured|generator"):
        wrong()


def test_with_metrics_off_a_function_works() -> None:
    """With metrics off a measured function and a measured block do what they did before."""

    @measured
    def add(a: int, b: int) -> int:
        with measured("step"):
            return a + b

    assert add(1, b=2) == 3


def _generator() -> Any:
    yield 1


async def _async_generator() -> Any:
    yield 1
