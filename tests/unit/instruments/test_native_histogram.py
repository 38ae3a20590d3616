"""Native histograms: what instances observe, merged exactly, and as each scraper sees it."""

from __future__ import annotations

import asyncio
import math
import random
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from google.protobuf.proto import parse_length_prefixed
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from lib.kairo_metrics import NativeHistogram
from lib.kairo_metrics.collector import Limits, Scrape, collect
from lib.kairo_metrics.exposition import client_model_pb2 as model
from lib.kairo_metrics.exposition.negotiate import choose_format
from lib.kairo_metrics.store.memory import MemoryStore
from lib.kairo_metrics.store.native import COARSEST, FINEST, NativeCounts, bucket_index, upper_bound
from lib.kairo_metrics.store.protocol import Store
from lib.kairo_metrics.store.redis import RedisStore
from tests.support.dev_server import dev_server
from tests.support.instance import settings
from tests.support.program import Program
from tests.support.prometheus_server import prometheus_server
from tests.support.recording import Recording

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
AMOUNTS = st.floats(allow_nan=False, allow_infinity=False).map(lambda amount: float(f"{amount:.6g}"))
SCHEMAS = st.integers(COARSEST, FINEST)
THRESHOLDS = st.sampled_from([0.0, 2.0**-128, 0.001, 0.5, 3.0])


@given(amount=st.floats(min_value=0, exclude_min=True, allow_infinity=False), schema=SCHEMAS)
def test_an_amount_lies_within_its_bucket(amount: float, schema: int) -> None:
    """Whatever is observed is above its bucket's lower bound and at most its upper one, within a float's precision."""
    index = bucket_index(amount, schema)
    low, high = math.log2(amount) - 1e-9, math.log2(amount) + 1e-9
    assert (index - 1) * 2.0**-schema <= high
    assert low <= index * 2.0**-schema


@pytest.mark.parametrize("schema", range(COARSEST, FINEST + 1))
@pytest.mark.parametrize("exponent", [-1074, -1022, -1, 0, 1, 7, 1023])
def test_a_power_of_two_is_the_upper_bound_of_its_bucket(schema: int, exponent: int) -> None:
    """A bound belongs to the bucket below it."""
    amount = math.ldexp(1, exponent)
    index = bucket_index(amount, schema)
    assert (index - 1) * 2.0**-schema < exponent <= index * 2.0**-schema


def counts_of(amounts: list[float], schema: int, threshold: float) -> NativeCounts:
    """Observe amounts one by one."""
    counts = NativeCounts(schema, threshold)
    for amount in amounts:
        counts.observe(amount)
    return counts


@given(parts=st.lists(st.tuples(st.lists(AMOUNTS, max_size=8), SCHEMAS), min_size=1, max_size=4))
def test_what_is_merged_is_what_one_would_have_observed(parts: list[tuple[list[float], int]]) -> None:
    """Brought to the coarsest resolution of all, every observation is in the bucket it would be in there."""
    merged = NativeCounts(FINEST, 0.0)
    for amounts, schema in parts:
        merged.add(counts_of(amounts, schema, 0.0))
    coarsest = min(FINEST, *(schema for _, schema in parts))
    alone = counts_of([amount for amounts, _ in parts for amount in amounts], coarsest, 0.0)
    assert (merged.positive, merged.negative, merged.zero_count) == (alone.positive, alone.negative, alone.zero_count)
    assert (merged.count, merged.schema) == (alone.count, alone.schema)


@given(
    parts=st.lists(
        st.tuples(st.lists(AMOUNTS, max_size=6), SCHEMAS, THRESHOLDS, st.integers(1, 12)), min_size=1, max_size=4
    )
)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_script_merges_as_python_does(redis_server: str, parts: list[Any]) -> None:
    """Resolutions, zero thresholds and caps of any mixture come to the same line in Redis and in memory."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    stores: list[Store] = [RedisStore(settings(redis_server)), MemoryStore(settings())]
    for store in stores:
        for number, (amounts, schema, threshold, max_buckets) in enumerate(parts):
            program = Program(store, settings(), str(number))
            with program.running():
                histogram = NativeHistogram(
                    "size",
                    "Size.",
                    schema=schema,
                    zero_threshold=threshold,
                    max_buckets=max_buckets,
                    registry=program.registry,
                )
                for amount in amounts:
                    histogram.observe(amount)
            program.flush()
    shown, expected = (lines(store) for store in stores)
    assert [line[1:] for line in shown] == [line[1:] for line in expected]
    assert [float(line[0]) for line in shown] == pytest.approx([float(line[0]) for line in expected], nan_ok=True)
    for counted in map(NativeCounts.parse, shown):
        inside = counted.zero_count + counted.positive.total() + counted.negative.total()
        assert inside == counted.count == sum(len(amounts) for amounts, *_ in parts)


def scrape(store: Store) -> Scrape:
    """Read the store."""

    async def read() -> Scrape:
        taken = await collect(store, Limits(3600))
        if isinstance(store, RedisStore):
            await store.aclose()
        return taken

    return asyncio.run(read())


def lines(store: Store) -> list[list[str]]:
    """Return the stored lines of the native histograms, word by word."""
    families = [family for family in scrape(store).families if family.schema.type == "native"]
    return [line.decode().split() for family in families for line in family.rows.values()]


async def test_other_scrapers_see_a_classic_histogram(recording: Recording) -> None:
    """In the text formats the buckets are the classic ones that the instrument names; nothing is lost."""
    registry = CollectorRegistry()
    size = NativeHistogram("mail_size", "Size.", ["to"], schema=8, buckets=(1, 4, 16), registry=registry)
    for amount in (0, 0.4, 3, 4, 15.9, 1000):
        size.labels("a").observe(amount)
    shown = await recording.samples("mail_size")
    assert shown == {
        'mail_size_bucket{to="a",le="1.0"}': 2,
        'mail_size_bucket{to="a",le="4.0"}': 4,
        'mail_size_bucket{to="a",le="16.0"}': 5,
        'mail_size_bucket{to="a",le="+Inf"}': 6,
        'mail_size_count{to="a"}': 6,
        'mail_size_sum{to="a"}': 1023.3,
    }
    assert registry.get_sample_value("mail_size_bucket", {"to": "a", "le": "4.0"}) == 4
    assert registry.get_sample_value("mail_size_sum", {"to": "a"}) == pytest.approx(1023.3)


@pytest.mark.parametrize("amounts", [[], [0.0], [1.0, 1.05, 1.1, 9.0, -3.0, 0.0]])
async def test_the_messages_hold_the_buckets(recording: Recording, amounts: list[float]) -> None:
    """In protobuf the spans and deltas read back as the buckets, and an empty histogram is a native one, too."""
    size = NativeHistogram("mail_size", "Size.", schema=2, registry=CollectorRegistry())
    for amount in amounts:
        size.observe(amount)
    await recording.pipeline.flusher.aflush()
    families = (await collect(recording.store, Limits(3600))).families
    page = BytesIO(b"".join(choose_format(PROTOBUF).render(families)))
    messages = {family.name: family for family in iter(lambda: parse_length_prefixed(model.MetricFamily, page), None)}
    [metric] = messages["mail_size"].metric
    histogram, expected = metric.histogram, counts_of(amounts, 2, 2.938735877055719e-39)
    assert (histogram.sample_count, histogram.sample_sum) == (expected.count, expected.sum)
    assert (histogram.schema, histogram.zero_count) == (2, expected.zero_count)
    assert side(histogram.positive_span, histogram.positive_delta) == expected.positive
    assert side(histogram.negative_span, histogram.negative_delta) == expected.negative
    assert len(histogram.positive_span) + len(histogram.negative_span) > 0


def side(spans: Any, deltas: Any) -> dict[int, int]:
    """Read spans and deltas as the format's description says."""
    found, index, count, rest = {}, 0, 0, list(deltas)
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += rest.pop(0)
            found[index] = count
            index += 1
    return found


async def test_the_number_of_buckets_is_capped(recording: Recording) -> None:
    """However far apart what is observed lies, the resolution gives way and nothing is lost."""
    size = NativeHistogram("mail_size", "Size.", schema=8, max_buckets=20, registry=CollectorRegistry())
    chance = random.Random(7)
    for _ in range(5):
        for _ in range(200):
            size.observe(math.exp(chance.uniform(-20, 20)))
        await recording.pipeline.flusher.aflush()
    [family] = [f for f in (await collect(recording.store, Limits(3600))).families if f.schema.type == "native"]
    [line] = family.rows.values()
    counted = NativeCounts.parse(line.decode().split())
    assert len(counted.positive) <= 20
    assert counted.positive.total() == counted.count == 1_000


async def test_not_a_number_is_counted_as_lost_and_infinity_has_its_bucket(recording: Recording) -> None:
    """NaN would be the sum for ever; infinity lies beyond the last bucket."""
    size = NativeHistogram("mail_size", "Size.", registry=CollectorRegistry())
    size.observe(math.nan)
    size.observe(math.inf)
    shown = await recording.samples("mail_size")
    assert (shown['mail_size_bucket{le="10.0"}'], shown["mail_size_count"]) == (0, 1)
    assert await recording.samples('kairo_samples_lost_total{family="mail_size"}') != {}


async def test_it_is_removed_and_timed_like_any_other(recording: Recording) -> None:
    """remove() and time() do as with a Histogram."""
    size = NativeHistogram("mail_wait", "Wait.", ["to"], registry=CollectorRegistry())
    with size.labels("a").time():
        pass
    size.labels("b").observe(1)
    assert len(await recording.samples("mail_wait_count")) == 2
    size.remove("b")
    assert list(await recording.samples("mail_wait_count")) == ['mail_wait_count{to="a"}']


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"schema": 9}, "schema"), ({"zero_threshold": -1}, "zero_threshold"), ({"max_buckets": 0}, "max_buckets")],
)
def test_an_argument_out_of_its_range_is_named(wrong: dict[str, Any], named: str) -> None:
    """The error says which one, and what it may be."""
    with pytest.raises(ValueError, match=named):
        NativeHistogram("size", "Size.", registry=CollectorRegistry(), **wrong)


FUNCTION = """
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from lib.kairo_metrics import NativeHistogram, instrument
from lib.kairo_metrics.store.protocol import Store

# The dev server runs all functions in one process, where an instrument's name is taken once in a registry.
WAIT = NativeHistogram("wait_seconds", "Wait.", ["of"], schema={schema}, registry=CollectorRegistry())

async def observe(request):
    for amount in request.query_params["amounts"].split():
        WAIT.labels("a").observe(float(amount))
    return PlainTextResponse("")

app = instrument(Starlette(routes=[Route("/{{path:path}}", observe)]))
"""
METRICS = "from lib.kairo_metrics import metrics_app\n\napp = metrics_app()\n"


@pytest.mark.prometheus
def test_prometheus_finds_the_quantile_that_was_observed(tmp_path: Path) -> None:
    """`histogram_quantile(0.95, rate(x[5m]))` over two functions of different resolution is as near as promised."""
    (tmp_path / "api").mkdir()
    (tmp_path / "vercel.json").write_text("{}")
    for name, schema in (("one", 3), ("two", 5)):
        (tmp_path / "api" / f"{name}.py").write_text(FUNCTION.format(schema=schema))
    (tmp_path / "api" / "metrics.py").write_text(METRICS)
    (tmp_path / "lib").symlink_to(Path(__file__).parents[3] / "lib")
    chance = random.Random(11)
    amounts = [chance.lognormvariate(-3, 1.2) for _ in range(4_000)]
    with dev_server(tmp_path) as server:
        config = f"""
- job_name: kairo
  metrics_path: /api/metrics
  static_configs: [{{targets: ["{server.url.removeprefix("http://")}"]}}]
  authorization: {{credentials: "{server.token}"}}
"""
        flags = ["--enable-feature=native-histograms"]
        (tmp_path / "prometheus").mkdir()
        with prometheus_server(tmp_path / "prometheus", config, flags=flags) as prometheus:
            for name in ("one", "two"):  # both are known before anything is observed, so that a rate sees all of it
                httpx.get(f"{server.url}/api/{name}", params={"amounts": "0.05"})
            prometheus.wait_for(lambda: prometheus.value("histogram_count(wait_seconds)") == 2)
            for start in range(0, len(amounts), 100):
                words = " ".join(map(str, amounts[start : start + 100]))
                httpx.get(f"{server.url}/api/{('one', 'two')[start // 100 % 2]}", params={"amounts": words})
            prometheus.wait_for(lambda: prometheus.value("histogram_count(wait_seconds)") == 4_002)
            time.sleep(1)
            exact = sorted(amounts)
            for quantile in (0.5, 0.95):
                found = prometheus.value(f"histogram_quantile({quantile}, rate(wait_seconds[5m]))")
                assert found is not None
                at = exact[int(quantile * len(exact))]
                # The estimate is in the right bucket, and a bucket of schema 3 is 9 % wide.
                assert abs(found - at) / at < upper_bound(1, 3) - 1
            assert prometheus.value("histogram_sum(wait_seconds)") == pytest.approx(sum(amounts) + 0.1)
