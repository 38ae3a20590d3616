"""The built-in engine compared with the real Prometheus: same samples, same queries, same results."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator

import pytest

from lib.kairo_metrics.dev.dashboard.history import NAME, History, Labels, labels_of
from lib.kairo_metrics.dev.dashboard.promql import instant, ranged
from lib.kairo_metrics.dev.dashboard.query_error import NotSupported, QueryError
from tests.support.prometheus_server import prometheus_server
from tests.support.promql_pair import PromqlPair, Scrape

BOUNDS = ("0.005", "0.1", "0.5", "2.5", "+Inf")
ROUTES = ("/a", "/b", "/c")


def generated_scrapes() -> list[Scrape]:
    """Generate ten minutes of scrapes at uneven times, with counters that restart and series that end and return."""
    chance = random.Random(7)  # the same numbers in every run
    counts: dict[Labels, float] = {}
    scrapes: list[Scrape] = []
    at_ms = round(time.time() * 1000) - 1_200_000
    for number in range(60):
        at_ms += chance.choice([9_000, 10_000, 10_137, 14_321])
        if number == 31:
            counts = dict.fromkeys(counts, 0.0)
        samples: dict[Labels, float] = {}
        for route in ROUTES:
            for method in ("GET", "POST"):
                if route == "/c" and 20 <= number < 28:
                    continue
                samples |= grown(counts, chance, {"method": method, "route": route, "job": "one"})
        samples |= gauges(chance, number)
        scrapes.append((at_ms, samples))
    return scrapes


def grown(counts: dict[Labels, float], chance: random.Random, own: dict[str, str]) -> dict[Labels, float]:
    """Add a few observations to the histogram and the counters of a route."""
    samples = {}
    total = 0.0
    for bound in BOUNDS:
        labels = labels_of({NAME: "wait_seconds_bucket", "le": bound, **own})
        counts[labels] = counts.get(labels, 0.0) + chance.choice([0, 0, 1, 4])
        total += counts[labels]
        samples[labels] = total
    samples[labels_of({NAME: "wait_seconds_count", **own})] = total
    for status in ("200", "500"):
        labels = labels_of({NAME: "requests_total", "status": status, **own})
        counts[labels] = counts.get(labels, 0.0) + (
            chance.randrange(9) if status == "200" else chance.choice([0, 0, 2])
        )
        samples[labels] = counts[labels]
    labels = labels_of({NAME: "errors_total", "type": "Oops", **own})
    counts[labels] = counts.get(labels, 0.0) + chance.choice([0, 0, 1])
    samples[labels] = counts[labels]
    return samples


def gauges(chance: random.Random, number: int) -> dict[Labels, float]:
    """Return gauges: one that goes below zero, one that is sometimes not a number, one that is sometimes missing."""
    samples = {
        labels_of({NAME: "level", "job": "one", "zone": zone}): chance.uniform(-50, 50) for zone in ("x", "y", "z")
    }
    samples[labels_of({NAME: "odd", "job": "one"})] = chance.choice([math.nan, math.inf, -math.inf, 0.0, 2.5])
    samples[labels_of({NAME: "info", "job": "one", "version": "7.0", "zone": "x"})] = 1.0
    if number % 11 < 4:
        samples[labels_of({NAME: "fleeting", "job": "one"})] = float(number)
    return samples


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PromqlPair]:
    folder = tmp_path_factory.mktemp("promql")
    with prometheus_server(folder, flags=["--web.enable-remote-write-receiver"]) as prometheus:
        yield PromqlPair(prometheus, generated_scrapes())


SAME = r"""
requests_total
requests_total{route="/a",status!="500"}
requests_total{route=~"/a|/b",method!~"P.*"}
{__name__=~"requests_total|errors_total",route="/b"}
requests_total offset 1m
fleeting
odd
rate(requests_total[1m])
rate(requests_total[20s])
rate(requests_total[15s])
increase(requests_total[1m])
increase(requests_total[5m] offset 30s)
irate(requests_total[1m])
delta(level[1m])
idelta(level[1m])
deriv(level[2m])
resets(requests_total[10m])
changes(level[1m])
changes(odd[5m])
rate(fleeting[1m])
increase(fleeting[2m])
avg_over_time(level[1m])
sum_over_time(level[1m])
min_over_time(level[1m])
max_over_time(level[1m])
count_over_time(fleeting[5m])
last_over_time(fleeting[5m])
present_over_time(fleeting[1m])
stddev_over_time(level[2m])
stdvar_over_time(level[2m])
quantile_over_time(0.9, level[2m])
quantile_over_time(1.5, level[2m])
sum(requests_total)
sum by (route) (requests_total)
sum by (nothing) (requests_total)
sum without (method, status) (requests_total)
avg by (route) (requests_total)
min by (route) (level)
max(level)
max(odd)
min(odd)
count by (status) (requests_total)
group by (route) (requests_total)
stddev by (route) (requests_total)
stdvar(level)
quantile(0.25, level)
quantile by (route) (0.9, requests_total)
topk(2, level)
topk by (route) (1, requests_total)
bottomk(2, avg_over_time(level[1m]))
topk(scalar(count(level) or vector(2)) - 1, level)
histogram_quantile(0.95, sum by (le) (rate(wait_seconds_bucket[1m])))
histogram_quantile(0.5, sum by (route, le) (rate(wait_seconds_bucket[30s])))
histogram_quantile(0.99, wait_seconds_bucket)
histogram_quantile(0, wait_seconds_bucket)
histogram_quantile(1, wait_seconds_bucket)
histogram_quantile(2, wait_seconds_bucket)
histogram_quantile(-1, wait_seconds_bucket)
histogram_quantile(0.9, rate(wait_seconds_bucket{le!="+Inf"}[1m]))
histogram_quantile(scalar(vector(0.5)), rate(wait_seconds_bucket[1m]))
sum(rate(errors_total[1m])) / sum(rate(requests_total[1m])) * 100
sum by (route) (rate(errors_total[1m])) / (sum by (route) (rate(requests_total[1m])) > 0)
sum by (route) (rate(wait_seconds_bucket{le="0.1"}[1m])) / ignoring (x) sum by (route) (rate(wait_seconds_count[1m]))
requests_total / on (route, method) group_left () errors_total
requests_total / on (route, method) group_left (type) errors_total
errors_total / on (route, method) group_right (type) requests_total
errors_total < on (route, method) group_right () requests_total
requests_total{status="200"} - ignoring (status) requests_total{status="500"}
requests_total{status="200"} > ignoring (status) requests_total{status="500"}
requests_total{status="200"} > bool ignoring (status) requests_total{status="500"}
level * on (zone) group_left (version) info
level * on (zone) info
wait_seconds_count == on (route, method) group_left () sum by (route, method) (wait_seconds_bucket{le="+Inf"})
requests_total > 50
requests_total > bool 50
50 < requests_total
50 >= bool requests_total
requests_total == 7
requests_total != 7
requests_total <= 30
level > 0 or level < -20
-level
+level
2 ^ level
level % 7
level / 0
0 / level
odd * 0
level + 1 - 2 * 3 / 4
3 - level
(1 + 2) * level
1 > bool 2
2 ^ 3 ^ 2
-1 ^ 2
1 / 0
5 % 0
fleeting or vector(0)
sum(nothing) or vector(0)
nothing or on () vector(7)
requests_total and on (job) level
requests_total and ignoring (status, type) errors_total
requests_total and on (route, method) (errors_total > 5)
requests_total unless on (route, method) (errors_total > 5)
requests_total unless requests_total{route="/c"}
level or info
level or on (zone) info
sum by (route) (requests_total) or on () vector(0)
absent(nothing)
absent(nothing{job="a",zone=~"b",x="1"})
absent(fleeting)
absent(sum(nothing))
scalar(info)
scalar(level)
scalar(fleeting)
vector(3)
vector(time())
time()
time() - timestamp(level)
timestamp(level)
timestamp(level + 0)
timestamp(fleeting)
abs(level)
ceil(level)
floor(level)
sqrt(level)
ln(level)
log2(level)
log10(odd)
exp(level)
exp(odd)
sgn(level)
sgn(odd)
round(level)
round(level, 5)
round(level, 0.1)
round(odd)
clamp(level, -10, 10)
clamp_min(level, 0)
clamp_max(odd, 1)
clamp(level, 5, 1)
sort(level)
sort_desc(level)
label_replace(level, "area", "area-$1", "zone", "(x|y)")
label_replace(level, "zone", "", "zone", "x")
label_replace(level, "area", "${first}-$2", "zone", "(?P<first>.)(.*)")
label_replace(vector(0), "type", "none", "", "")
label_join(level, "both", "-", "job", "zone")
label_join(level, "both", "-", "nothing")
sum by (job) (label_replace(level, "job", "two", "zone", "x"))
max_over_time(requests_total{route="/c"}[30s])
sum(rate(requests_total{route="/c"}[2m]))
42
"""

# Both engines must refuse these: they have several possible results.
REFUSED = """
rate(requests_total)
rate(requests_total[1m]
topk(scalar(nothing), level)
requests_total + on (route) errors_total
level * on (job) level
requests_total / on (job) group_left () errors_total
errors_total / on (route) group_left () wait_seconds_count{method="GET"} / on (job) level
{__name__=~"requests_total|wait_seconds_count"} * on (route, method) errors_total
label_replace(level, "zone", "same", "zone", ".*")
label_replace(level, "a b", "", "zone", ".*")
label_replace(level, "a", "", "zone", "(")
level{zone=~"("}
rate({__name__=~"requests_total|errors_total|level|odd"}[1m]) + {
sum(level) + nothing(level)
1 > 2
level and 1
"""

# Prometheus answers these; the built-in engine says that it does not support them.
UNKNOWN = {
    "max_over_time(rate(requests_total[1m])[5m:30s])": "A subquery",
    "level atan2 2": "The operator atan2",
    "level @ 1000": "The modifier @",
    "sum(rate(requests_total[1m] @ end()))": "The modifier @",
    'count_values("value", level)': "The aggregation count_values",
    "predict_linear(level[5m], 60)": "The function predict_linear()",
    "day_of_week()": "The function day_of_week()",
    "histogram_count(level)": "The function histogram_count()",
    "absent_over_time(level[5m])": "The function absent_over_time()",
}


@pytest.mark.prometheus
@pytest.mark.parametrize("query", SAME.strip().splitlines())
def test_a_query_has_the_result_that_prometheus_gives(pair: PromqlPair, query: str) -> None:
    """The dashboard without a Prometheus shows the numbers that Prometheus would show."""
    differences = pair.differences(query, empty="nothing" in query or "{le!=" in query or "5, 1" in query)
    assert not differences, "\n".join(differences)


@pytest.mark.prometheus
def test_a_range_of_time_is_closed_at_both_ends(pair: PromqlPair) -> None:
    """Samples exactly at either end of a window count, as in Prometheus."""
    for window in ("10s", "18s", "19s", "20s"):
        assert not pair.differences(f"count_over_time(level[{window}])", step_s=1)
        assert not pair.differences(f"rate(requests_total[{window}])", step_s=1)


@pytest.mark.prometheus
@pytest.mark.parametrize("query", REFUSED.strip().splitlines())
def test_what_prometheus_refuses_is_refused(pair: PromqlPair, query: str) -> None:
    """A malformed or ambiguous query is an error here too."""
    assert pair._theirs("query", {"query": query, "time": str(pair.last_s)}) == "error"
    assert pair._ours("query", {"query": query, "time": str(pair.last_s)}) == "error"


@pytest.mark.parametrize(("query", "named"), UNKNOWN.items())
def test_what_is_not_built_in_is_named(query: str, named: str) -> None:
    """A query that is not supported is an error that names the unsupported part, and the alternative."""
    history = History(keep_ms=60_000)
    history.add(1_000, {labels_of({NAME: "level"}): 1.0, labels_of({NAME: "requests_total"}): 1.0})
    with pytest.raises(NotSupported) as err:
        instant(history, query, 2_000)
    assert (
        str(err.value)
        == f"{named} is not supported by the built-in engine: set PROMETHEUS_URL to query a real Prometheus"
    )


def test_the_history_forgets_and_stays_small() -> None:
    """Old samples and series are removed; series beyond the limit are refused and counted."""
    history = History(keep_ms=10_000, max_series=3)
    for second in range(100):
        names = ["steady", f"new_{second // 20}"]
        history.add(second * 1_000, {labels_of({NAME: name}): float(second) for name in names})
    kept = history.select(None, lambda _labels: True, 0, 1_000_000)
    assert {dict(series.labels)[NAME] for series in kept} == {"steady", "new_4"}
    assert all(len(series.times) == 11 for series in kept)
    assert history.bounds_ms() == (89_000, 99_000)
    assert history.refused == 0
    history.add(100_000, {labels_of({NAME: f"many_{number}"}): 1.0 for number in range(5)})
    assert history.refused == 4


def test_a_series_that_left_the_page_leaves_the_dashboard() -> None:
    """The last value of an ended series is not shown for another five minutes."""
    history = History(keep_ms=60_000)
    up = labels_of({NAME: "up"})
    for at_ms, samples in ((1_000, {up: 1.0}), (3_000, {}), (5_000, {up: 2.0})):
        history.add(at_ms, samples)
    result = ranged(history, "up", [2_000, 4_000, 6_000])
    assert result.series == {up: [1.0, None, 2.0]}  # type: ignore[union-attr]


def test_a_query_that_asks_for_too_much_is_refused() -> None:
    """A query with too many steps is refused, so that it can't delay the functions."""
    history = History(keep_ms=60_000)
    with pytest.raises(QueryError, match="shorter time range or a longer step"):
        ranged(history, "up", range(3_000))
