"""Exemplars: given by the caller or taken from the request, shared, and shown by the formats that have them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import redis
from prometheus_client import Counter, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lib.kairo_metrics import instrument
from lib.kairo_metrics.exposition import openmetrics, text
from lib.kairo_metrics.exposition.family import Extras
from lib.kairo_metrics.scrape.collector import Limits, collect
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.adopted import adopted_registry
from tests.support.instance import settings
from tests.support.program import Program
from tests.support.recording import Recording
from tests.support.store_clock import wait_for_ticks

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


async def exemplars(store: Store) -> dict[str, Exemplar]:
    """Return the exemplars on an OpenMetrics page, by sample name and labels."""
    scrape = await collect(store, Limits(3600), extras=Extras(exemplars=True))
    page = b"".join(openmetrics.render(scrape.page.families)).decode()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.exemplar
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.exemplar
    }


async def test_an_exemplar_given_by_the_caller_is_shown(recording: Recording) -> None:
    """Counters and buckets show the newest exemplar with its labels and value, timed by the store."""
    registry = adopted_registry()
    jobs = Counter("jobs", "Jobs.", ["queue"], registry=registry)
    wait = Histogram("wait", "Wait.", buckets=(1, 2), registry=registry)
    jobs.labels("a").inc(2, {"job": "first"})
    jobs.labels("a").inc(3, {"job": 'the "second"'})
    wait.observe(0.5, {"job": "quick"})
    wait.observe(1.5, {"job": "slow"})
    wait.observe(9)
    await recording.pipeline.flusher.aflush()
    found = await exemplars(recording.store)
    shown = {name: (exemplar.labels, exemplar.value) for name, exemplar in found.items()}
    assert shown == {
        "jobs_total[('queue', 'a')]": ({"job": 'the "second"'}, 3),
        "wait_bucket[('le', '1.0')]": ({"job": "quick"}, 0.5),
        "wait_bucket[('le', '2.0')]": ({"job": "slow"}, 1.5),
    }
    now_s = (await recording.store.snapshot()).now_ms / 1000
    assert all(abs(float(str(exemplar.timestamp)) - now_s) < 60 for exemplar in found.values())


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_the_newest_exemplar_of_all_instances_is_shown(
    kind: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """The page shows the exemplar of the instance that counted last, on any shard."""
    chosen = settings(redis_url, shards=4)
    store = RedisStore(chosen) if kind == "redis" else MemoryStore(chosen)
    for number in range(6):
        program = Program(store, chosen, str(number))
        with program.running():
            Counter("jobs", "Jobs.", registry=program.registry).inc(1, {"from": str(number)})
        await asyncio.to_thread(program.flush)
        wait_for_ticks(redis_client)  # the store keeps their time in milliseconds
    [exemplar] = (await exemplars(store)).values()
    assert exemplar.labels == {"from": "5"}
    if isinstance(store, RedisStore):
        await store.aclose()


async def test_a_format_that_has_no_exemplars_shows_none(recording: Recording) -> None:
    """A page in the plain text format has no exemplars."""
    registry = adopted_registry()
    Counter("jobs", "Jobs.", registry=registry).inc(2, {"job": "first"})
    await recording.pipeline.flusher.aflush()
    scrape = await collect(recording.store, Limits(3600))
    page = b"".join(text.render(scrape.page.families)).decode()
    assert "jobs_total 2\n" in page
    assert "first" not in page
    assert 'kairo_series{family="jobs"} 1\n' in page


def test_an_exemplar_that_is_too_long_is_refused(recording: Recording) -> None:
    """An exemplar with more than 128 characters of names and values raises ValueError, as in prometheus_client."""
    assert recording
    with pytest.raises(ValueError, match="128"):
        Counter("jobs", "Jobs.", registry=adopted_registry()).inc(1, {"job": "x" * 126})


@contextmanager
def client(app: Any) -> Iterator[httpx.AsyncClient]:
    """Give a client that calls an app in this process."""
    yield httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cms.example.org")


def counting_app(recording: Recording, counter: Counter, **options: Any) -> Any:
    """Build an app that increments this counter in each request."""

    async def count(_: Request) -> PlainTextResponse:
        counter.inc()
        return PlainTextResponse("counted")

    def count_in_a_thread(_: Request) -> PlainTextResponse:
        counter.inc()
        return PlainTextResponse("counted")

    routes = [Route("/count", count), Route("/thread", count_in_a_thread)]
    app = Starlette(routes=routes)
    return instrument(app, settings=recording.pipeline.settings, store=recording.store, **options)


@pytest.mark.parametrize("path", ["/count", "/thread"])
async def test_what_a_request_counts_gets_its_trace(recording: Recording, path: str) -> None:
    """A request with the traceparent of a recorded trace links it as exemplar to our metrics and to the user's own."""
    counter = Counter("visits", "Visits.", registry=adopted_registry())
    with client(counting_app(recording, counter)) as session:
        assert (await session.get(path, headers=SAMPLED)).status_code == 200
    found = await exemplars(recording.store)
    labels = {"span_id": SPAN, "trace_id": TRACE}
    assert found["visits_total[]"].labels == labels
    assert {name.partition("[")[0] for name in found} >= {"http_requests_total", "http_request_duration_seconds_bucket"}
    assert all(exemplar.labels == labels for exemplar in found.values())


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{SPAN}-00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        "nonsense",
        "",
    ],
)
async def test_a_trace_that_is_not_recorded_is_no_exemplar(recording: Recording, traceparent: str) -> None:
    """A traceparent that is malformed, or whose trace was not sampled, becomes no exemplar."""
    counter = Counter("visits", "Visits.", registry=adopted_registry())
    with client(counting_app(recording, counter)) as session:
        await session.get("/count", headers={"traceparent": traceparent})
    assert await exemplars(recording.store) == {}


async def test_a_callback_may_give_the_exemplar(recording: Recording) -> None:
    """A callback returns the labels for other kinds of tracing; if it fails, the request is answered all the same."""
    counter = Counter("visits", "Visits.", registry=adopted_registry())
    answers: list[Mapping[str, str] | None] = [{"request": "r-1"}, None, {"request": "x" * 200}, {"not a name": "x"}]

    def source(scope: MutableMapping[str, Any]) -> Mapping[str, str] | None:
        assert scope["path"] == "/count"
        return answers.pop(0)

    with client(counting_app(recording, counter, exemplar=source)) as session:
        for _ in range(5):  # at the fifth request no answer is left, and the callback raises
            assert (await session.get("/count")).status_code == 200
    assert (await exemplars(recording.store))["visits_total[]"].labels == {"request": "r-1"}
