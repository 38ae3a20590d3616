"""One contract for every entry point: ASGI, WSGI, a handler class, and functions."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import Counter

from lib.kairo_metrics import Settings
from lib.kairo_metrics.delivery import process_pipeline
from lib.kairo_metrics.delivery.pipeline import Pipeline
from lib.kairo_metrics.entrypoints import invocation_record
from lib.kairo_metrics.instruments.recorder import RECORDER
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.dev_server import REPOSITORY
from tests.support.entry_points import APPS, ENTRY_POINTS, Act, EntryPoint, Got
from tests.support.instance import samples, settings
from tests.support.proxy import Proxy
from tests.support.variants import variants

_MOST_CALLS = 600
WORK = Counter("work_of_entry_points_total", "Work.")


class Process:
    """This process's pipeline, on a real Redis behind the proxy."""

    def __init__(self, opened: Pipeline, reader: RedisStore) -> None:
        self.pipeline = opened
        self._reader = reader

    async def delivered(self) -> dict[str, float]:
        """Return what is in Redis at this moment; nothing is flushed."""
        return await samples(self._reader, "")

    async def call_until_delivered(self, entry_point: EntryPoint, target: Any) -> int:
        """Call until nothing is pending, and return how often; the breaker waits before it tries again."""
        for calls in range(_MOST_CALLS):
            if not self.pipeline.flusher.pending:
                return calls
            await entry_point.call(target)
            await asyncio.sleep(0.05)
        raise AssertionError("the counts do not arrive")

    async def work(self) -> float:
        """Return how much of the app's own work is in Redis."""
        return (await self.delivered()).get("work_of_entry_points_total", 0.0)


@pytest.fixture
async def process(request: pytest.FixtureRequest, proxy: Proxy, redis_url: str) -> AsyncIterator[Process]:
    """Open the process's pipeline on Redis, with nothing pending, in a cold instance; a parameter has more settings."""
    process_pipeline.close_pipeline()
    chosen = settings(proxy.url, **getattr(request, "param", {}))
    store, reader = RedisStore(chosen), RedisStore(settings(redis_url))
    opened = process_pipeline.open_pipeline(chosen, store)
    assert opened is not None
    RECORDER.forget()
    RECORDER.followers.clear()
    invocation_record._started.clear()
    yield Process(opened, reader)
    process_pipeline.close_pipeline()
    await store.aclose()
    await reader.aclose()


@pytest.fixture(params=ENTRY_POINTS)
def entry_point(request: pytest.FixtureRequest) -> EntryPoint:
    """Return each entry point in turn."""
    return ENTRY_POINTS[request.param]


@pytest.fixture(params=APPS)
def app(request: pytest.FixtureRequest) -> EntryPoint:
    """Return each entry point that answers HTTP requests in turn."""
    return APPS[request.param]


async def test_a_call_is_delivered_at_its_end(process: Process, entry_point: EntryPoint) -> None:
    """When a call ends, it and what the app counted are in Redis, and the result is the app's own."""
    target = entry_point.measure(entry_point.build(Act(WORK.inc)))
    got = await entry_point.call(target)
    found = await process.delivered()
    assert got.body == b"hello"
    assert entry_point.outcomes_in(found) == {entry_point.outcomes[0]: 1}
    assert entry_point.errors_in(found) == {}
    assert found["work_of_entry_points_total"] == 1


async def test_a_call_costs_one_round_trip(process: Process, entry_point: EntryPoint, proxy: Proxy) -> None:
    """Each call of a warm instance is one command to Redis on the same connection."""
    target = entry_point.measure(entry_point.build(Act(WORK.inc)))
    await entry_point.call(target)
    proxy.reset_counts()
    for _ in range(5):
        await entry_point.call(target)
    assert (proxy.connections, proxy.round_trips) == (0, 5)
    assert await process.work() == 6


@pytest.mark.parametrize("status", [200, 201, 204, 301, 404, 429, 500, 503, 599])
async def test_a_status_is_the_one_that_the_client_got(process: Process, app: EntryPoint, status: int) -> None:
    """Each status is counted as it is, and one of 5xx is an error as well."""
    got = await app.call(app.measure(app.build(Act(status=status))))
    found = await process.delivered()
    assert got.status == status
    assert app.outcomes_in(found) == {str(status): 1}
    assert app.errors_in(found) == ({f"http_{status}": 1} if status >= 500 else {})


@pytest.mark.parametrize("error", [LookupError("no"), PermissionError(), ConnectionResetError(), SystemExit(3)])
async def test_an_exception_passes_through_and_is_counted(
    process: Process, entry_point: EntryPoint, error: BaseException
) -> None:
    """The server or the caller gets the same exception as without metrics, and it is counted under its class."""
    target = entry_point.measure(entry_point.build(Act(WORK.inc, error=error)))
    with pytest.raises(type(error)) as raised:
        await entry_point.call(target)
    found = await process.delivered()
    assert raised.value is error
    assert entry_point.outcomes_in(found) == {entry_point.outcomes[1]: 1}
    assert entry_point.errors_in(found) == {type(error).__name__: 1}
    assert found["work_of_entry_points_total"] == 1


async def test_a_stream_is_one_request(process: Process, app: EntryPoint) -> None:
    """What an app counts between the parts of its response is delivered with the request."""

    class Counting(Act):
        def body(self) -> Any:
            for part in super().body():
                WORK.inc()
                yield part

    got = await app.call(app.measure(app.build(Counting(parts=(b"a", b"b", b"c")))))
    found = await process.delivered()
    assert got.body == b"abc"
    assert app.outcomes_in(found) == {"200": 1}
    assert found["work_of_entry_points_total"] == 3


@pytest.mark.parametrize("process", [{"stream_flush_s": 1}], indirect=True)
async def test_a_long_call_is_delivered_while_it_runs(process: Process, entry_point: EntryPoint) -> None:
    """What a stream or a function of minutes counts is in Redis before it ends; the call itself is counted once."""
    end = threading.Event()
    call = asyncio.create_task(entry_point.call(entry_point.measure(entry_point.build(Act(WORK.inc, until=end)))))
    try:
        while not await process.work():
            assert not call.done()
            await asyncio.sleep(0.05)
    finally:
        end.set()
        await call
    found = await process.delivered()
    assert entry_point.outcomes_in(found) == {entry_point.outcomes[0]: 1}
    assert found["work_of_entry_points_total"] == 1


@pytest.mark.parametrize("after", [1, 2])
async def test_an_exception_after_the_beginning_keeps_the_status(process: Process, app: EntryPoint, after: int) -> None:
    """A stream that breaks off was answered with 200, which the client got, and is an error."""
    broken = Act(parts=(b"a", b"b"), error=LookupError("late"), error_after=after)
    with pytest.raises(LookupError, match="late"):
        await app.call(app.measure(app.build(broken)))
    found = await process.delivered()
    assert app.outcomes_in(found) == {"200": 1}
    assert app.errors_in(found) == {"LookupError": 1}


async def test_a_client_that_leaves_a_stream_is_no_error(process: Process, app: EntryPoint) -> None:
    """A client that hangs up after the response began is counted with its status, and spends no error budget."""
    await app.call(app.measure(app.build(Act(WORK.inc, parts=(b"a",) * 3))), leaves=True)
    found = await process.delivered()
    assert app.outcomes_in(found) == {"200": 1}
    assert app.errors_in(found) == {}
    assert found["work_of_entry_points_total"] == 1


async def test_a_client_creates_no_series(process: Process, app: EntryPoint) -> None:
    """However many paths and methods a client invents, they are one series of each status."""
    target = app.measure(app.build(Act()))
    for number in range(20):
        await app.call(target, "GET", f"/invented/{number}?x={number}")
        await app.call(target, f"BREW{number}", f"/invented/{number}")
    series = {sample for sample in await process.delivered() if sample.startswith("http_requests_total{")}
    assert {sample.partition(',status="')[0] for sample in series} == {
        'http_requests_total{method="GET",route="__unmatched__"',
        'http_requests_total{method="__unknown__",route="__unmatched__"',
    }
    assert len(series) == 2


async def test_with_metrics_off_an_app_is_itself(app: EntryPoint, proxy: Proxy) -> None:
    """While metrics are off, the app is returned as it was, and Redis gets nothing."""
    plain = app.build(Act())
    process_pipeline.close_pipeline()
    assert app.measure(plain, settings=Settings(enabled=False, redis_url=proxy.url)) is plain
    assert (await app.call(plain)).status == 200
    assert proxy.connections == 0


@pytest.mark.parametrize("name", [name for name in ENTRY_POINTS if name not in APPS])
async def test_with_metrics_off_a_function_works(name: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """While metrics are off, a function returns and raises as before, and Redis gets nothing."""
    process_pipeline.close_pipeline()
    monkeypatch.setenv("REDIS_URL", proxy.url)
    monkeypatch.delenv("ENABLE_METRICS", raising=False)
    function = ENTRY_POINTS[name]
    assert await function.call(function.measure(function.build(Act()))) == Got(0, b"hello")
    with pytest.raises(LookupError):
        await function.call(function.measure(function.build(Act(error=LookupError()))))
    assert proxy.connections == 0


async def test_a_lost_reply_counts_nothing_twice(process: Process, entry_point: EntryPoint, proxy: Proxy) -> None:
    """When Redis has applied a batch and the reply is lost, the batch is sent again and counted once."""
    target = entry_point.measure(entry_point.build(Act(WORK.inc)))
    await entry_point.call(target)
    proxy.lose_reply(to=b"EVALSHA")
    await entry_point.call(target)
    assert not proxy.loss_is_pending
    calls = 2 + await process.call_until_delivered(entry_point, target)
    found = await process.delivered()
    assert entry_point.outcomes_in(found) == {entry_point.outcomes[0]: calls}
    assert found["work_of_entry_points_total"] == calls
    assert found['kairo_batches_total{outcome="duplicate"}'] == 1


async def test_a_store_that_is_away_changes_no_result(process: Process, entry_point: EntryPoint, proxy: Proxy) -> None:
    """Without Redis a call's result and exceptions are the app's own, and its counts arrive later."""
    target = entry_point.measure(entry_point.build(Act(WORK.inc)))
    failing = entry_point.measure(entry_point.build(Act(WORK.inc, error=LookupError("no"))))
    proxy.refuse()
    assert (await entry_point.call(target)).body == b"hello"
    with pytest.raises(LookupError, match="no"):
        await entry_point.call(failing)
    assert await process.work() == 0
    proxy.listen()
    calls = 1 + await process.call_until_delivered(entry_point, target)
    assert entry_point.outcomes_in(await process.delivered()) == dict(
        zip(entry_point.outcomes, (calls, 1), strict=True)
    )
    assert await process.work() == calls + 1


async def test_calls_at_once_are_counted_exactly(process: Process, entry_point: EntryPoint, proxy: Proxy) -> None:
    """Many calls at once, in as many threads where calls block, share round trips and are all counted."""
    target = entry_point.measure(entry_point.build(Act(WORK.inc)))
    await entry_point.call(target)
    proxy.reset_counts()
    proxy.hold()
    calls = [asyncio.create_task(entry_point.call(target)) for _ in range(12)]
    await asyncio.to_thread(proxy.wait_until_held)
    proxy.let_go()
    await asyncio.gather(*calls)
    found = await process.delivered()
    assert entry_point.outcomes_in(found) == {entry_point.outcomes[0]: 13}
    assert found["work_of_entry_points_total"] == 13
    assert proxy.round_trips <= 6


async def test_threads_that_measure_at_once_measure_once(process: Process, app: EntryPoint) -> None:
    """Eight threads that instrument the same app at the same moment count each of its requests once."""
    plain, together = app.build(Act(WORK.inc)), threading.Barrier(8)
    results: list[Any] = []

    def measure() -> None:
        together.wait()
        results.append(app.measure(plain))

    threads = [threading.Thread(target=measure) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        await app.call(result)
    found = await process.delivered()
    assert app.outcomes_in(found) == {"200": 8}
    assert found["work_of_entry_points_total"] == 8


async def test_what_is_measured_twice_is_counted_once(process: Process, app: EntryPoint) -> None:
    """An app that was instrumented in two places counts each request once."""
    await app.call(app.measure(app.measure(app.build(Act(WORK.inc)))))
    assert app.outcomes_in(await process.delivered()) == {"200": 1}


FORK = """
import asyncio, os, sys
from prometheus_client import Counter
from lib.kairo_metrics import install
from tests.support.entry_points import ENTRY_POINTS, Act

install()  # a function alone is known only when it is called
work = Counter("work_of_entry_points_total", "Work.")
entry_point = ENTRY_POINTS[sys.argv[1]]
target = entry_point.measure(entry_point.build(Act(work.inc)))
work.inc(100)
if sys.argv[2] == "warm":
    asyncio.run(entry_point.call(target))
child = os.fork()
asyncio.run(entry_point.call(target))
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("begin", variants(["cold", "warm"], ["warm"]))
@pytest.mark.parametrize("name", ENTRY_POINTS)
async def test_a_fork_counts_nothing_twice(name: str, begin: str, redis_url: str) -> None:
    """Parent and child each deliver their own calls, and one of them what was counted before the fork."""
    variables = {"ENABLE_METRICS": "true", "REDIS_URL": redis_url, "METRICS_FLUSH_BUDGET_MS": "30000"}
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, name, begin],
        cwd=REPOSITORY,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    reader = RedisStore(settings(redis_url))
    found = await samples(reader, "")
    await reader.aclose()
    calls = 3 if begin == "warm" else 2
    assert ENTRY_POINTS[name].outcomes_in(found) == {ENTRY_POINTS[name].outcomes[0]: calls}
    assert found["work_of_entry_points_total"] == 100 + calls
