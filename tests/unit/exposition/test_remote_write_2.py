"""Remote write 2.0: a push carries the samples of a scrape, and what 1.0 has no place for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.exposition.family import Exemplar, Family
from lib.kairo_metrics.exposition.page import Page
from lib.kairo_metrics.exposition.push_format import Body
from lib.kairo_metrics.exposition.remote_write import write_requests as write_requests_1
from lib.kairo_metrics.exposition.remote_write_2 import body_of, write_requests, zero_requests
from lib.kairo_metrics.exposition.remote_write_2_pb2 import Metadata, Request, TimeSeries
from lib.kairo_metrics.model.native_counts import NativeCounts
from lib.kairo_metrics.model.schema import Schema
from tests.support.native_amounts import AMOUNTS, SCHEMAS, THRESHOLDS, counts_of
from tests.support.write_receiver import decoded, request_2
from tests.unit.exposition.test_remote_write import families

TARGET = {"job": "kairo", "instance": "production"}
AT_MS = 1_764_000_000_123
BEGAN_MS = AT_MS - 60_000


def bodies(*given: Family, zeros_since_ms: int | None = None) -> list[Body]:
    page = Page(given, AT_MS)
    parts = write_requests(page, TARGET) if zeros_since_ms is None else zero_requests(page, TARGET, zeros_since_ms)
    return [body_of(part) for part in parts]


def sent(*given: Family, zeros_since_ms: int | None = None) -> Request:
    """Return the only request of a page with these families."""
    [body] = bodies(*given, zeros_since_ms=zeros_since_ms)
    return request_2(body.data)


def labels_of(request: Request, numbers: list[int]) -> dict[str, str]:
    texts = [request.symbols[number] for number in numbers]
    return dict(zip(texts[::2], texts[1::2], strict=True))


@given(families())
def test_both_versions_carry_the_same_samples(family: Family) -> None:
    """Names, labels, values and times are those of remote write 1.0; only native histograms are sent in another way."""
    if family.schema.type == "native":
        return
    page = Page((family,), AT_MS)
    before = [
        (sample.labels, repr(sample.value), sample.at_ms) for part in write_requests_1(page, TARGET) for sample in part
    ]
    now = [(labels, repr(value), at_ms) for body in bodies(family) for labels, value, at_ms in decoded(body.data)]
    assert now == [(labels, repr(float(value)), at_ms) for labels, value, at_ms in before]


@given(families())
def test_the_symbols_are_as_the_standard_wants_them(family: Family) -> None:
    """The first is empty, none comes twice, each reference is in range, labels are sorted and none is empty."""
    for body in bodies(family):
        request = request_2(body.data)
        symbols = list(request.symbols)
        assert symbols[0] == ""
        assert len(set(symbols)) == len(symbols)
        for series in request.timeseries:
            names = list(labels_of(request, list(series.labels_refs)))
            assert names == sorted(names)
            assert all(labels_of(request, list(series.labels_refs)).values())
            assert bool(series.samples) != bool(series.histograms)


@pytest.mark.parametrize(
    ("kind", "numbers", "told"),
    [
        ("counter", b"5", Metadata.METRIC_TYPE_COUNTER),
        ("gauge", b"5", Metadata.METRIC_TYPE_GAUGE),
        ("histogram", b"2.5 1 2", Metadata.METRIC_TYPE_HISTOGRAM),
        ("gaugehistogram", b"2.5 1 2", Metadata.METRIC_TYPE_GAUGEHISTOGRAM),
        ("native", b"12 4 1 0 0.001 2:2,3:1 -", Metadata.METRIC_TYPE_HISTOGRAM),
        ("summary", b"3 10.25", Metadata.METRIC_TYPE_SUMMARY),
        ("info", b"1", Metadata.METRIC_TYPE_INFO),
        ("stateset", b"1", Metadata.METRIC_TYPE_STATESET),
        ("unknown", b"1", Metadata.METRIC_TYPE_UNSPECIFIED),
    ],
)
def test_each_series_has_its_metadata(kind: str, numbers: bytes, told: int) -> None:
    """A receiver learns the type, the help and the unit of every sample."""
    bounds = ("1.0", "+Inf") if "histogram" in kind else ()
    schema = Schema("wait_seconds", kind, (), bounds, help="How long.", unit="seconds")
    request = sent(Family(schema, {b"": numbers}))
    for series in request.timeseries:
        assert series.metadata.type == told
        assert request.symbols[series.metadata.help_ref] == "How long."
        assert request.symbols[series.metadata.unit_ref] == "seconds"


def test_a_series_says_when_it_began() -> None:
    """Both places of the standard have the time: that of its first releases, and that of the later ones."""
    [series] = sent(Family(Schema("jobs", "counter"), {b"": b"5"}, began={b"": BEGAN_MS})).timeseries
    assert series.created_timestamp == series.samples[0].start_timestamp == BEGAN_MS


@pytest.mark.parametrize("began_ms", [0, None])
def test_a_series_of_unknown_age_says_nothing(began_ms: int | None) -> None:
    """No time is better than a wrong one: what a repair has brought back, and gauges, have none."""
    began = {} if began_ms is None else {b"": began_ms}
    [series] = sent(Family(Schema("jobs", "counter"), {b"": b"5"}, began=began)).timeseries
    assert series.created_timestamp == series.samples[0].start_timestamp == 0


def test_what_a_collector_says_of_its_age_is_passed_on() -> None:
    """A collector's created time is sent; the store's knowledge precedes it."""
    schema = Schema("jobs", "counter")
    [series] = sent(Family(schema, {b"": b"5"}, created={b"": BEGAN_MS})).timeseries
    assert series.created_timestamp == BEGAN_MS
    [series] = sent(Family(schema, {b"": b"5"}, created={b"": BEGAN_MS}, began={b"": 0})).timeseries
    assert series.created_timestamp == 0


@pytest.mark.parametrize("began_ms", [BEGAN_MS, AT_MS - 1, AT_MS])
@pytest.mark.parametrize("kind", ["counter", "native"])
def test_a_value_says_when_it_began_unless_that_ends_prometheus(kind: str, began_ms: int) -> None:
    """Prometheus 3.5 may end at a native histogram that says when it began: the zero before it says so."""
    numbers = b"5" if kind == "counter" else b"12 4 1 0 0.001 2:2,3:1 -"
    bounds = () if kind == "counter" else ("1.0", "+Inf")
    family = Family(Schema("jobs", kind, (), bounds), {b"": numbers}, began={b"": began_ms})
    [zero] = sent(family, zeros_since_ms=BEGAN_MS - 1).timeseries
    [value] = sent(family).timeseries
    assert zero.created_timestamp == 0  # else a receiver would make a zero of the zero
    if kind == "counter":
        assert (zero.samples[0].value, zero.samples[0].timestamp) == (0, min(began_ms, AT_MS - 1))
        assert value.created_timestamp == zero.samples[0].timestamp
    else:
        assert (zero.histograms[0].count_int, zero.histograms[0].timestamp) == (0, min(began_ms, AT_MS - 1))
        assert (value.created_timestamp, value.histograms[0].start_timestamp) == (0, 0)


def test_exemplars_stand_at_their_samples() -> None:
    """A counter's is at its value, a histogram's at its bucket, with its own time and sorted labels."""
    marked = Exemplar(b'trace_id="4bf9",span_id="00f0"', b"0.5", AT_MS - 5)
    jobs = Family(Schema("jobs", "counter"), {b"": b"5"}, {b"": {1: marked}})
    wait = Family(Schema("wait", "histogram", (), ("1.0", "+Inf")), {b"": b"2.5 1 2"}, {b"": {3: marked}})
    request = sent(jobs, wait)
    with_exemplars = [series for series in request.timeseries if series.exemplars]
    names = [labels_of(request, list(series.labels_refs)) for series in with_exemplars]
    assert [(labels["__name__"], labels.get("le")) for labels in names] == [
        ("jobs_total", None),
        ("wait_bucket", "+Inf"),
    ]
    for series in with_exemplars:
        [exemplar] = series.exemplars
        assert list(labels_of(request, list(exemplar.labels_refs)).items()) == [
            ("span_id", "00f0"),
            ("trace_id", "4bf9"),
        ]
        assert (exemplar.value, exemplar.timestamp) == (0.5, AT_MS - 5)
    assert bodies(jobs, wait)[0].exemplars == 2


@given(st.builds(counts_of, st.lists(AMOUNTS, max_size=20), SCHEMAS, THRESHOLDS))
def test_a_native_histogram_comes_out_as_it_was(counts: NativeCounts) -> None:
    """Spans and differences give each bucket its count again; the histogram adds up."""
    family = Family(Schema("fine", "native", (), ("1.0", "+Inf")), {b"": counts.text().encode()})
    [series] = sent(family).timeseries
    [histogram] = series.histograms
    assert histogram.schema == counts.schema
    assert histogram.zero_count_int == counts.zero_count
    assert histogram.count_int == counts.count
    positive = buckets(histogram.positive_spans, histogram.positive_deltas)
    negative = buckets(histogram.negative_spans, histogram.negative_deltas)
    assert positive == {index: count for index, count in counts.positive.items() if count}
    assert negative == {index: count for index, count in counts.negative.items() if count}
    assert sum(positive.values()) + sum(negative.values()) + histogram.zero_count_int == histogram.count_int


def buckets(spans: object, deltas: object) -> dict[int, int]:
    found, index, count, left = {}, 0, 0, list(deltas)  # type: ignore[call-overload]
    for span in spans:  # type: ignore[attr-defined]
        index += span.offset
        for _ in range(span.length):
            count += left.pop(0)
            found[index] = count
            index += 1
    assert left == []
    return found


def test_a_body_says_how_much_it_carries() -> None:
    """What the receiver says it has written is compared with this."""
    families = [
        Family(Schema("fine", "native", (), ("1.0", "+Inf")), {b"": b"12 4 1 0 0.001 2:2,3:1 -"}),
        Family(Schema("wait", "histogram", (), ("1.0", "+Inf")), {b"": b"2.5 1 2"}),
    ]
    [body] = bodies(*families)
    assert (body.samples, body.histograms, body.exemplars) == (4, 1, 0)
    request = request_2(body.data)
    assert sum(len(series.samples) for series in request.timeseries) == body.samples


def test_a_large_state_is_pushed_in_several_requests() -> None:
    """2,000 series go into one request, each with symbols of its own."""
    rows = {b'n="%d"' % number: b"%d" % number for number in range(4_500)}
    made = bodies(Family(Schema("jobs", "counter", ("n",)), rows))
    assert [body.samples for body in made] == [2_000, 2_000, 500]
    assert sorted(int(labels["n"]) for body in made for labels, _, _ in decoded(body.data)) == list(range(4_500))


def test_no_receiver_of_version_1_sees_samples_in_it() -> None:
    """One that does not look at the type of the content sees an empty message: it stores nothing wrong."""
    from lib.kairo_metrics.exposition.remote_write_pb2 import WriteRequest

    message = sent(Family(Schema("jobs", "counter"), {b"": b"5"}))
    assert len(WriteRequest.FromString(message.SerializeToString()).timeseries) == 0
    assert len(message.timeseries) == 1
    assert isinstance(message.timeseries[0], TimeSeries)


@pytest.mark.parametrize("at_ms", [-5, 10**40])
def test_a_time_that_is_none_ends_no_push(at_ms: int) -> None:
    """A collector may give its exemplars and series any time; all samples are sent."""
    marks = {b"": {1: Exemplar(b'trace_id="4bf9"', b"1", at_ms)}}
    [series] = sent(Family(Schema("jobs", "counter"), {b"": b"5"}, marks, created={b"": at_ms})).timeseries
    assert series.samples[0].value == 5
    assert 0 <= series.created_timestamp < AT_MS
    assert series.exemplars[0].timestamp >= 0
