"""What a user's test reads: `counted` and `page`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import GaugeMetricFamily

from lib.kairo_metrics import KairoError, NativeHistogram, metrics_app
from lib.kairo_metrics.testing import counted, isolated_metrics, page
from tests.support.client_versions import needs_utf_8_names

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _metrics() -> Iterator[None]:
    with isolated_metrics():
        yield


def test_the_sum_over_the_labels_that_are_not_named() -> None:
    """A user names the labels that matter, and gets the sum over all others; values are compared as text."""
    sold = Counter("sold_total", "Books sold.", ["kind", "status"])
    sold.labels("book", "201").inc(2)
    sold.labels("book", "500").inc()
    sold.labels("map", "201").inc(4)
    assert counted("sold_total") == 7
    assert str(counted("sold_total")) == "7.0"
    assert counted("sold_total", kind="book") == 3
    assert counted("sold_total", status=201) == 6
    assert counted("sold_total", kind="book", status=500) == 1


def test_what_has_counted_nothing_is_zero() -> None:
    """A metric without a series is zero, one of ours too, and so is a series that nobody has touched."""
    Counter("sold_total", "Books sold.", ["kind"])
    assert counted("sold_total") == counted("sold_total", kind="book") == 0
    assert counted("http_requests_total", method="GET", route="/", status=200) == 0
    assert counted("http_request_duration_seconds_count", route="/") == 0
    assert counted("kairo_samples_lost_total") == 0


@needs_utf_8_names
def test_names_beyond_the_classic_letters() -> None:
    """A name is asked for as it was given, not as an old scraper gets it."""
    sizes = Counter("größe.bytes_total", "Bytes.", ["http.länge"])
    sizes.labels("é").inc(3)
    assert counted("größe.bytes_total") == counted("größe.bytes_total", **{"http.länge": "é"}) == 3
    with pytest.raises(LookupError, match=r"there is größe\.bytes_total"):
        counted("gr__e_bytes_total")


@pytest.mark.parametrize("value", ['a"\n\\b,c="d"}', "", " ", "größe", "__overflow__", 1.0, True, None])
def test_any_value_of_a_label(value: object) -> None:
    """It is found again as it was given."""
    sold = Counter("sold_total", "Books sold.", ["kind"])
    sold.labels(value).inc()
    sold.labels("another").inc(5)
    assert counted("sold_total", kind=value) == 1


def test_an_instrument_in_the_place_of_its_name() -> None:
    """The error says what to give."""
    sold = Counter("sold_total", "Books sold.")
    with pytest.raises(TypeError, match='counted takes the name of a metric, such as "orders_total", not Counter'):
        counted(sold)  # type: ignore[arg-type]


class _Queue:
    """A user's collector, which asks a server."""

    def __init__(self) -> None:
        self.runs = 0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        self.runs += 1
        family = GaugeMetricFamily("waiting_jobs", "Jobs that wait.", labels=["queue"])
        family.add_metric(["mail"], 3)
        family.add_metric(["print"], 4)
        yield family


def test_a_collector_runs_only_if_it_is_asked_for() -> None:
    """What it gives is read as by a scrape, and a test that counts something else does not wait for its server."""
    metrics_app()  # collectors run in a program that makes a page
    queue = _Queue()
    REGISTRY.register(queue)
    runs = queue.runs  # the registry asks for the names
    sold = Counter("sold_total", "Books sold.")
    sold.inc()
    assert counted("sold_total") == 1
    assert queue.runs == runs
    assert (counted("waiting_jobs"), counted("waiting_jobs", queue="mail")) == (7, 3)
    assert 'waiting_jobs{queue="print"} 4' in page()
    with pytest.raises(LookupError, match="there is waiting_jobs"):
        counted("waiting_job")
    with pytest.raises(LookupError, match="waiting_jobs has no label 'server'; it has queue"):
        counted("waiting_jobs", server="a")


def test_every_kind_of_metric() -> None:
    """Each kind is read by the names that its samples have on the page."""
    latency = Histogram("latency_seconds", "Seconds.", ["to"], buckets=(0.5, 1, 5))
    latency.labels("a").observe(0.7)
    latency.labels("b").observe(3)
    size = Summary("size_bytes", "Bytes.")
    size.observe(10)
    native = NativeHistogram("upload_bytes", "Bytes.", buckets=(1.0, 100.0))
    native.observe(50)
    temperature = Gauge("temperature_celsius", "Celsius.", multiprocess_mode="all")
    temperature.set(-3)
    Info("build", "Build.").info({"version": "7"})
    Enum("state", "State.", states=["open", "shut"]).state("shut")
    assert (counted("latency_seconds_count"), counted("latency_seconds_sum", to="b")) == (2, 3)
    assert [counted("latency_seconds_bucket", le=bound) for bound in (0.5, 1, "5.0", float("inf"))] == [0, 1, 2, 2]
    assert (counted("size_bytes_count"), counted("size_bytes_sum")) == (1, 10)
    assert (counted("upload_bytes_count"), counted("upload_bytes_bucket", le=100)) == (1, 1)
    assert counted("temperature_celsius") == -3
    assert (counted("build_info", version=7), counted("build_info", version=8, commit="a")) == (1, 0)
    assert (counted("state", state="shut"), counted("state", state="open")) == (1, 0)


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("order_total", {}, "no metric has the name 'order_total'; there is orders_total"),
        ("orders", {}, "no metric has the name 'orders'; there is orders_total"),
        ("wait_seconds", {}, "there is wait_seconds_bucket or wait_seconds_count or wait_seconds_sum"),
        ("wait_seconds_total", {}, "there is wait_seconds_bucket or wait_seconds_count or wait_seconds_sum"),
        ("http_request_total", {}, "there is http_requests_total"),
        ("orders_created", {}, "no metric has the name 'orders_created'"),
        ("zzz", {}, "^no metric has the name 'zzz'$"),
        ("orders_total", {"type": "book"}, "orders_total has no label 'type'; it has kind"),
        ("http_requests_total", {"path": "/"}, "has no label 'path'; it has method, route, status"),
        ("plain_total", {"kind": "book"}, "plain_total has no label 'kind'; it has none"),
    ],
)
def test_a_wrong_name_is_an_error_that_helps(name: str, labels: dict[str, str], message: str) -> None:
    """A mistyped name or label is no zero: the error names those that were perhaps meant."""
    Counter("orders_total", "Orders.", ["kind"])
    Counter("plain_total", "Orders.")
    Histogram("wait_seconds", "Seconds.")
    with pytest.raises(LookupError, match=message):
        counted(name, **labels)


def test_a_bucket_needs_its_bound() -> None:
    """The buckets of a histogram include each other, so their sum is no number of observations."""
    Histogram("wait_seconds", "Seconds.")
    with pytest.raises(ValueError, match="wait_seconds_bucket needs le"):
        counted("wait_seconds_bucket")
    with pytest.raises(ValueError, match="needs le"):
        counted("http_request_duration_seconds_bucket", route="/")


def test_labels_with_any_name_and_value() -> None:
    """A label may be called `name`, and its value may hold what the page escapes."""
    Counter("named_total", "Named.", ["name"]).labels('a "b"\n\\').inc()
    assert counted("named_total", name='a "b"\n\\') == 1


def test_the_page_of_a_scrape() -> None:
    """The page is the one that Prometheus would get, in its text format or in OpenMetrics with exemplars."""
    Counter("orders_total", "Orders.", ["kind"]).labels("book").inc(exemplar={"trace_id": "abc"})
    assert 'orders_total{kind="book"} 1\n' in page()
    assert "# TYPE orders_total counter\n" in page()
    assert "kairo_scrape_duration_seconds" in page()
    assert '# {trace_id="abc"} 1 ' in page(openmetrics=True)
    assert page(openmetrics=True).endswith("# EOF\n")


def test_outside_of_a_block_nothing_is_read() -> None:
    """Without a block the counts would be those of other tests, so the error tells what to write."""
    from lib.kairo_metrics.testing import isolation

    opened, isolation._open[:] = list(isolation._open), []
    try:
        for read in (page, lambda: counted("http_requests_total")):
            with pytest.raises(KairoError, match="with isolated_metrics"):
                read()
    finally:
        isolation._open[:] = opened
