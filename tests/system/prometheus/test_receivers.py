"""What the real receivers have after scraping the same pages, in each protocol that they offer."""

from __future__ import annotations

import pytest

from tests.support.once import Once
from tests.support.push_lab import TOTALS, TRACE
from tests.support.receivers import AGENT, RECEIVERS
from tests.support.receivers_lab import (
    AWKWARD,
    BORN,
    MIDDLE,
    NEW,
    OLD,
    OPENMETRICS,
    PAGES,
    PROTOBUF,
    TEXT_0,
    TEXT_1,
    VICTORIA,
    Seen,
    run_receivers,
)
from tests.system.prometheus.test_samples import GUIDE_QUERIES

pytestmark = pytest.mark.prometheus

# The functions' page, by the receiver and its job.
FUNCTIONS = [
    (OLD, "functions"),
    (MIDDLE, "functions"),
    *((NEW, job) for job in PAGES),
    (VICTORIA, "functions"),
    (VICTORIA, AGENT),
]
IN_PROTOBUF = [(OLD, "functions"), (MIDDLE, "functions"), (NEW, f"functions, {PROTOBUF}")]
WITH_UTF8 = [(NEW, f"functions, {OPENMETRICS}"), (NEW, f"functions, {TEXT_1}")]
KNOWS_CREATED = [(MIDDLE, "functions"), (NEW, f"functions, {PROTOBUF}"), (NEW, f"created, {OPENMETRICS}")]
KNOWS_NOT = [(OLD, "functions"), *((NEW, f"functions, {protocol}") for protocol in (OPENMETRICS, TEXT_1, TEXT_0))]
AT_ZERO_FIRST = [
    (OLD, "zero"), (MIDDLE, "zero"), (NEW, f"zero, {OPENMETRICS}"), (NEW, f"zero, {TEXT_0}"), (VICTORIA, "zero")
]  # fmt: skip
# Remote write 2.0 is taken by Prometheus 3.5; the others show that it falls back to 1.0.
PUSHES = [(name, protocol) for name, receiver in RECEIVERS.items() for protocol in receiver.protocols]
COUNTED = {
    'born_total{kind="refund"}': 5,
    "load": 9,
    "size_count": 1,
    "size_sum": 7,
    'wait_bucket{le="1.0"}': 1,
    'wait_bucket{le="2.0"}': 2,
    'wait_bucket{le="+Inf"}': 3,
    "wait_count": 3,
    "wait_sum": 5,
}


@pytest.fixture(scope="module")
def seen(once: Once) -> dict[str, Seen]:
    """Run all receivers, once for the whole test run."""
    return once("receivers", lambda folder: run_receivers(folder, GUIDE_QUERIES))


@pytest.mark.parametrize("name", RECEIVERS)
def test_no_scrape_fails(seen: dict[str, Seen], name: str) -> None:
    """Every page is accepted, in every protocol that is asked for."""
    assert seen[name].problems == []


@pytest.mark.parametrize(("name", "job"), FUNCTIONS)
def test_what_is_stored_is_what_was_counted(seen: dict[str, Seen], name: str, job: str) -> None:
    """Counters, gauges, summaries and each bucket have the values that the functions have counted."""
    stored = seen[name].samples[job]
    assert {sample: stored.get(sample) for sample in COUNTED} == COUNTED


@pytest.mark.parametrize(("name", "job"), FUNCTIONS)
def test_native_histograms_arrive(seen: dict[str, Seen], name: str, job: str) -> None:
    """In protobuf they are native, with the count and the sum; in the text formats they are classic, with the same."""
    if (name, job) in IN_PROTOBUF:
        assert seen[name].native[job][:2] == (3, 5)
        assert "fine_count" not in seen[name].samples[job]
    else:
        assert job not in seen[name].native
        stored = seen[name].samples[job]
        assert (stored["fine_count"], stored["fine_sum"], stored['fine_bucket{le="+Inf"}']) == (3, 5, 3)


@pytest.mark.parametrize(("name", "job"), FUNCTIONS)
def test_exemplars_arrive(seen: dict[str, Seen], name: str, job: str) -> None:
    """In protobuf and OpenMetrics each bucket has its trace; the text formats have none."""
    has_them = (name, job) in [*IN_PROTOBUF, (NEW, f"functions, {OPENMETRICS}")]
    assert seen[name].traces.get(job, set()) == ({"4bf92f35"} if has_them else set())


@pytest.mark.parametrize(("name", "job"), FUNCTIONS)
def test_names_beyond_the_classic_letters_arrive(seen: dict[str, Seen], name: str, job: str) -> None:
    """Who asks for UTF-8 gets the names as they are declared; all others get them with underscores."""
    utf8, classic = 'größe.mails_total{to.whom="b"}', 'gr__e_mails_total{to_whom="b"}'
    expected, other = (utf8, classic) if (name, job) in WITH_UTF8 else (classic, utf8)
    assert seen[name].samples[job][expected] == 2
    assert other not in seen[name].samples[job]


@pytest.mark.parametrize(("name", "job"), FUNCTIONS)
def test_awkward_labels_arrive(seen: dict[str, Seen], name: str, job: str) -> None:
    """Quotes, backslashes, line breaks, emoji and long values are stored as they were given."""
    stored = {sample for sample, value in seen[name].samples[job].items() if sample.startswith("names_total") and value}
    assert stored == {f'names_total{{name="{value}"}}' if value else "names_total" for value in AWKWARD}


@pytest.mark.parametrize("query", GUIDE_QUERIES)
@pytest.mark.parametrize(("name", "job"), FUNCTIONS)
def test_the_guides_queries_have_results(seen: dict[str, Seen], name: str, job: str, query: str) -> None:
    """Each query of the guide has a result over the functions' metrics."""
    assert job in seen[name].answered[query]


@pytest.mark.parametrize("name", RECEIVERS)
def test_the_dashboard_draws_the_same_everywhere(seen: dict[str, Seen], name: str) -> None:
    """Each receiver takes each query of the dashboard, and has a result where the oldest one has one."""
    assert len(seen[OLD].drawn) > 30
    assert seen[name].drawn == seen[OLD].drawn


@pytest.mark.parametrize(("name", "job"), KNOWS_CREATED)
def test_a_created_time_shows_the_first_increment(seen: dict[str, Seen], name: str, job: str) -> None:
    """With created-timestamp-zero-ingestion, `increase` is all that a series counted before its first scrape."""
    assert seen[name].increases[job] == BORN


@pytest.mark.parametrize(("name", "job"), KNOWS_NOT)
def test_without_a_created_time_the_first_increment_is_missing(seen: dict[str, Seen], name: str, job: str) -> None:
    """A scraper that does not know when a series began says 0; this is what METRICS_NEW_SERIES_ZERO_S is for."""
    assert seen[name].increases[job] == dict.fromkeys(BORN, 0)


@pytest.mark.parametrize(("name", "job"), AT_ZERO_FIRST)
def test_new_series_at_zero_first_lose_nothing(seen: dict[str, Seen], name: str, job: str) -> None:
    """With METRICS_NEW_SERIES_ZERO_S, `increase` is all that was counted, whatever the scraper knows."""
    assert seen[name].increases[job] == BORN


@pytest.mark.parametrize("job", ["functions", AGENT])
def test_victoria_metrics_counts_the_first_value(seen: dict[str, Seen], job: str) -> None:
    """VictoriaMetrics takes a new series as one that was at zero before, so it needs no setting."""
    assert seen[VICTORIA].increases[job] == BORN


@pytest.mark.parametrize(("name", "job"), [pair for pair in AT_ZERO_FIRST + KNOWS_CREATED if pair[0] != VICTORIA])
def test_an_alert_on_one_rare_error_fires(seen: dict[str, Seen], name: str, job: str) -> None:
    """`increase(rare_errors_total[1m]) > 0` fires for a single error, which is the first of its series."""
    assert job in seen[name].firing


@pytest.mark.parametrize(("name", "job"), KNOWS_NOT)
def test_without_either_the_alert_is_silent(seen: dict[str, Seen], name: str, job: str) -> None:
    """So the alert above fires for the right reason."""
    assert job not in seen[name].firing


@pytest.mark.parametrize(("name", "job"), [(OLD, "zero"), (NEW, f"functions, {PROTOBUF}")])
def test_a_native_histogram_loses_nothing_either(seen: dict[str, Seen], name: str, job: str) -> None:
    """The increase of its count is at least the count; Prometheus extrapolates it by up to an interval at each end."""
    increase = seen[name].native[job][2]
    assert increase is not None
    assert 3 <= increase <= 6


def test_prometheus_2_53_does_not_do_both(seen: dict[str, Seen]) -> None:
    """With both features, 2.53 writes a zero that is no native histogram, so a native increase has no result."""
    assert seen[MIDDLE].native["functions"][2] is None
    assert seen[MIDDLE].native["functions"][:2] == (3, 5)


def test_created_samples_cost_series_only_where_they_are_not_understood(seen: dict[str, Seen]) -> None:
    """Prometheus 3.5 stores no `_created` series of OpenMetrics; of the text format each series has one more sample."""
    assert seen[NEW].created == {}
    assert set(seen[VICTORIA].created) == {"created"}
    counts = seen[VICTORIA].counts
    assert counts["created"] - counts["functions"] == seen[VICTORIA].created["created"] > 0


@pytest.mark.parametrize(("name", "protocol"), PUSHES)
def test_a_push_loses_no_first_increment(seen: dict[str, Seen], name: str, protocol: str) -> None:
    """After four pushes, `increase` is all that was counted, of series born before the first push and after it."""
    pushed = seen[name].pushed[protocol]
    assert pushed.answers == [200] * 4
    _check_increases(name, protocol, pushed.increases)


@pytest.mark.parametrize(("name", "protocol"), PUSHES)
def test_a_push_sends_each_zero_once(seen: dict[str, Seen], name: str, protocol: str) -> None:
    """Each series has one zero, and then the values of the pushes; the same in each protocol."""
    values = seen[name].pushed[protocol].values
    assert values["born_total"] == [0, 5, 5, 6]
    assert values["wait_count"] == [0, 3, 3, 4]
    assert values["fine_count"] == [0, 1, 1, 2]
    assert values["early_total"] == [0, 3, 3, 3, 3]
    assert {sample for sample, found in values.items() if found.count(0) != 1 or found[0]} == set()


@pytest.mark.parametrize(("name", "protocol"), PUSHES)
def test_a_zero_that_comes_again_changes_nothing(seen: dict[str, Seen], name: str, protocol: str) -> None:
    """If it is not known what was pushed before, the zeros are sent again, at the same times; nothing counts twice."""
    assert seen[name].pushed[protocol].late_answer == 200
    _check_increases(name, protocol, seen[name].pushed[protocol].late)


@pytest.mark.parametrize(("name", "protocol"), [pair for pair in PUSHES if pair[0] != VICTORIA])
def test_remote_write_2_brings_exemplars(seen: dict[str, Seen], name: str, protocol: str) -> None:
    """Prometheus 3.5 has the traces of a push by remote write 2.0; 1.0 has none, and older ones fall back to it."""
    has_them = (name, protocol) == (NEW, "remote-write")
    assert seen[name].pushed[protocol].traces == ({TRACE["trace_id"]} if has_them else set())


def _check_increases(name: str, protocol: str, increases: dict[str, float]) -> None:
    """Fail unless they are what was counted; Prometheus extrapolates a native histogram by up to an interval."""
    found = dict(increases)
    if (name, protocol) == (NEW, "remote-write"):
        assert 2 <= found.pop("fine_count") <= 3
        found["fine_count"] = 2
    assert found == pytest.approx(TOTALS)
