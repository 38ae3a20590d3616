"""How long requests wait during an outage, and how soon the store is found again, exactly in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lib.kairo_metrics import lambda_handler
from lib.kairo_metrics.delivery.flusher import Flusher
from lib.kairo_metrics.delivery.pipeline import Pipeline
from lib.kairo_metrics.entrypoints.asgi import measured_asgi
from lib.kairo_metrics.errors import StoreUnavailable
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.model.batch import Batch, Verdict, Writer
from lib.kairo_metrics.store.command_flow import CommandFlow
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.deployment.platform.lambda_events import Call, http_api
from tests.support.instance import Instance, jobs_total, nonzero_samples, settings
from tests.support.warp import WarpLoop

BUDGET_S = 1.0  # the default
FOUND_WITHIN_S = 5.0
AWAY_S = 60.0
_ROUND_TRIP_S = 0.01


class Remote(MemoryStore):
    """A store behind a network that can fail.

    Args:
        loop: its clock.

    Attributes:
        outage: how commands fail; None without an outage.
        asked_s: the times of the attempts since the outage began.
        back_s: the time when the outage ended.
    """

    def __init__(self, loop: WarpLoop) -> None:
        super().__init__(settings(), lambda: int(loop.time() * 1000), (loop.time, loop.time))
        self.outage: str | None = None
        self.asked_s: list[float] = []
        self.back_s = 0.0
        self._time = loop.time
        self._attempts = 0
        self.sent = 0

    def fail(self, outage: str, attempts: int = 0) -> None:
        """Begin an outage; with a number of attempts, it ends just after the last of them began."""
        self.outage, self.asked_s, self._attempts = outage, [], attempts

    def _come_back(self) -> None:
        self.outage, self.back_s = None, self._time()

    def apply(self, writer: Writer, batch: Batch) -> CommandFlow[Verdict]:
        """Apply the batch after the network has delivered it."""
        yield ("BATCH",)
        return (yield from super().apply(writer, batch))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """Connect."""
        self.asked_s.append(self._time())
        if len(self.asked_s) == self._attempts:
            asyncio.get_running_loop().call_later(0.001, self._come_back)
        if self.outage == "packets dropped":
            await asyncio.get_running_loop().create_future()
        if self.outage == "refusing":
            raise StoreUnavailable("refused")
        yield self

    async def call(self, *_commands: Any) -> list[Any]:
        """Deliver a command and its reply."""
        self.sent += 1
        await asyncio.sleep(_ROUND_TRIP_S)
        if self.outage == "black hole":
            await asyncio.get_running_loop().create_future()
        if self.outage == "slow":
            await asyncio.sleep(BUDGET_S)
        if self.outage == "slower than half the budget":
            await asyncio.sleep(0.6 * BUDGET_S)
        if self.outage == "flapping" and int(self._time() * 10) % 3:
            raise StoreUnavailable("the connection broke", sent=True, broken=True)
        return [b"fine"]


OUTAGES = "black hole", "packets dropped", "refusing", "slow", "flapping"


@pytest.fixture
def remote(loop: WarpLoop) -> Remote:
    """Give a store that can be unreachable."""
    return Remote(loop)


@pytest.fixture
def instance(loop: WarpLoop, remote: Remote) -> Instance:
    """Give an instance with the default budget, in virtual time."""
    clocks = loop.time, loop.time
    recorder = Recorder(clocks)
    return Instance(remote, recorder, Flusher(recorder, remote, settings(flush_budget_ms=1_000)))


async def served(instance: Instance, loop: WarpLoop) -> float:
    """Serve a request, and return the seconds that the instance took after its response."""
    instance.add('queue="a"')
    began_s = loop.time()
    await instance.flusher.after_response()
    return loop.time() - began_s


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("pause_s", [0.02, 0.3])
def test_a_request_waits_at_most_its_budget_and_not_at_all_while_the_breaker_is_open(
    loop: WarpLoop, remote: Remote, instance: Instance, outage: str, pause_s: float
) -> None:
    """In an outage of a minute few requests wait, none longer than the budget, and all others do not wait at all."""

    async def minute() -> list[float]:
        await served(instance, loop)
        remote.fail(outage)
        began_s, costs = loop.time(), []
        while loop.time() < began_s + AWAY_S:
            is_open = instance.flusher._breaker.pause_s() > 0
            cost = await served(instance, loop)
            assert cost == 0.0 or not is_open
            costs.append(cost)
            await asyncio.sleep(pause_s)
        return costs

    costs = loop.run_until_complete(minute())
    assert max(costs) <= BUDGET_S + 1e-9
    if outage != "flapping":
        # Three short pauses, and then an attempt every three seconds.
        assert len(remote.asked_s) <= 4 + AWAY_S / 3
        assert sum(cost > 0 for cost in costs) <= len(remote.asked_s)


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("with_requests", [True, False])
def test_a_store_is_found_within_5_seconds_after_an_outage(loop: WarpLoop, outage: str, with_requests: bool) -> None:
    """If the store comes back just after an attempt began, everything arrives within 5 s, even without requests."""

    async def outlast(attempts: int) -> float:
        clocks = loop.time, loop.time
        remote, recorder = Remote(loop), Recorder(clocks)
        instance = Instance(remote, recorder, Flusher(recorder, remote, settings(flush_budget_ms=1_000)))
        await served(instance, loop)
        remote.fail(outage, attempts)
        requests = set()
        while remote.outage is not None:
            requests.add(asyncio.create_task(served(instance, loop)))
            await asyncio.sleep(0.05)
        while instance.flusher.pending:
            assert loop.time() < remote.back_s + AWAY_S, "the instance has stopped trying"
            if with_requests:
                requests.add(asyncio.create_task(served(instance, loop)))
            await asyncio.sleep(0.05)
        await asyncio.wait(requests)
        return loop.time() - remote.back_s

    found_s = [loop.run_until_complete(outlast(attempts)) for attempts in range(1, 10)]
    assert max(found_s) <= FOUND_WITHIN_S


def test_instances_deliver_to_a_store_slower_than_half_the_budget(
    loop: WarpLoop, remote: Remote, instance: Instance
) -> None:
    """The flush after a slow one has its whole budget, also with requests that came during the slow one."""
    remote.fail("slower than half the budget")

    async def request(after_s: float) -> None:
        await asyncio.sleep(after_s)
        await served(instance, loop)

    async def requests() -> None:
        await asyncio.gather(*(request(number * 0.05) for number in range(20)))
        assert instance.flusher._breaker.pause_s() == 0
        remote.outage = None
        await instance.flusher.aflush()
        assert await jobs_total(instance) == 20
        assert list(await nonzero_samples(remote, "kairo_batches")) == ['kairo_batches_total{outcome="applied"}']

    loop.run_until_complete(requests())


def test_the_response_is_sent_before_the_flush(loop: WarpLoop, remote: Remote, instance: Instance) -> None:
    """In every kind of outage each response is sent before the flush, so the client does not wait for it."""
    order: list[tuple[str, float]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        instance.add('queue="a"')
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    async def request() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        asked, began_s = len(remote.asked_s), loop.time()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                assert len(remote.asked_s) == asked
                order.append(("answered", loop.time() - began_s))

        await measured_asgi(app, Pipeline(settings(), remote, instance.flusher))(scope, _never, send)
        order.append(("over", loop.time() - began_s))

    async def requests() -> None:
        for outage in OUTAGES:
            remote.fail(outage)
            for _ in range(20):
                await request()
                await asyncio.sleep(0.2)

    loop.run_until_complete(requests())
    assert {seconds for what, seconds in order if what == "answered"} == {0.0}
    assert max(seconds for what, seconds in order if what == "over") <= BUDGET_S + 1e-9


async def _never() -> Any:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("outage", OUTAGES)
def test_on_lambda_a_response_waits_at_most_the_budget(
    loop: WarpLoop, remote: Remote, instance: Instance, outage: str
) -> None:
    """On Lambda the flush comes first: a response waits at most the budget, and not while the breaker is open."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        instance.add('queue="a"')
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    handler = lambda_handler(measured_asgi(app, Pipeline(settings(), remote, instance.flusher)))
    late_s = []
    remote.fail(outage)
    for _ in range(200):
        is_open = instance.flusher._breaker.pause_s() > 0
        began_s = loop.time()
        assert handler(http_api(Call("GET", "/")), None)["statusCode"] == 200
        late_s.append(loop.time() - began_s)
        assert late_s[-1] == 0.0 or not is_open
        loop.run_until_complete(asyncio.sleep(0.1))
    assert max(late_s) <= BUDGET_S + 1e-9
    assert sum(late_s) < 0.4 * (200 * 0.1 + sum(late_s)), "most of the time is not spent waiting"
