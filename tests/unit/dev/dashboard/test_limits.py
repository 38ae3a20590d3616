"""The limits of a query in the built-in engine: length, depth, time, samples and regular expressions."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from lib.kairo_metrics.dev.dashboard import limits
from lib.kairo_metrics.dev.dashboard.history import NAME, History, labels_of
from lib.kairo_metrics.dev.dashboard.limits import LONGEST_QUERY, Budget
from lib.kairo_metrics.dev.dashboard.promql import instant, ranged
from lib.kairo_metrics.dev.dashboard.promql.engine import parsed
from lib.kairo_metrics.dev.dashboard.query_error import QueryError

# Only the longest of what the limits let through, in a thread with a sixteenth of Linux' usual stack.
DEEPEST = """
import threading
from lib.kairo_metrics.dev.dashboard.history import History
from lib.kairo_metrics.dev.dashboard.promql import instant
threading.stack_size(512 * 1024)
QUERIES = ["(" * 50 + "1" + ")" * 50, "abs(" * 49 + "vector(1)" + ")" * 49, "1" + "+1" * 150, "1" + "^1" * 150,
           "-" * 150 + "1", "vector(1)" + " or vector(1)" * 150, "(" * 50 + "1" + ")" * 50 + "+1" * 150]
def run():
    for query in QUERIES:
        instant(History(keep_ms=1), query, 0)
    print("survived")
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def history(series: int = 3) -> History:
    """Return a history of ten scrapes of one gauge."""
    filled = History(keep_ms=60_000)
    for at_s in range(10):
        samples = {labels_of({NAME: "jobs", "queue": f"queue-{number}"}): 1.0 for number in range(series)}
        filled.add(at_s * 1_000, samples)
    return filled


@pytest.mark.parametrize(
    "query",
    [
        "(" * 9_000 + "1" + ")" * 9_000,
        "abs(" * 4_000 + "up" + ")" * 4_000,
        "1" + "+1" * 9_000,
        "1" + "^1" * 9_000,
        "-" * 9_000 + "1",
        "up" + " or up" * 3_000,
        "up" + " AND up" * 3_000,
        "up" + "[1m:1s]" * 2_000 + "(" * 9_000,
        "{" * 9_000,
        '"' + "(" * 9_000,
        '"\\"" + ' + "(" * 9_000,
        "`\\` + " + "(" * 9_000,
        "# comment\n" + "(" * 9_000,
        "# comment\r" + "(" * 9_000,
        "'\"' + " + "(" * 9_000 + "'\"'",
        "x" * (LONGEST_QUERY + 1),
    ],
)
def test_a_query_that_would_crash_the_parser_is_refused(query: str) -> None:
    """A query that is too deep or too long never reaches the parser, and the error says what is too much."""
    with pytest.raises(
        QueryError, match=r"brackets inside each other|operators|characters|does not end|control character"
    ):
        parsed(query)


def test_the_deepest_query_that_is_let_through_needs_little_stack() -> None:
    """Queries at the limits are answered even in a thread with a stack of 512 KiB."""
    ran = subprocess.run([sys.executable, "-c", DEEPEST], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip()) == (0, "survived"), ran.stderr[-2_000:]


def test_signs_inside_texts_do_not_count() -> None:
    """A regular expression with many brackets and slashes, as the page writes it for all routes, is let through."""
    routes = "|".join(f"/api/v{number}/\\\\{{id\\\\}}" for number in range(700))
    assert parsed(f'sum(rate(http_requests_total{{route=~"{routes}"}}[1m])) # ((((')


def test_a_backtracking_expression_takes_no_time() -> None:
    """An expression that takes years in an engine that backtracks is evaluated at once."""
    long = History(keep_ms=60_000)
    long.add(0, {labels_of({NAME: "a" * 5_000}): 1.0})
    for query in ('{__name__=~"([a-z_]+)+([a-z_]+)*!"}', 'label_replace({__name__=~".+"}, "x", "$1", "y", "(a*)*b")'):
        instant(long, query, 0, Budget(time_limit_s=2))


@pytest.mark.parametrize("expression", ["(?=a)", "(a)\\\\1", "a{1001}", "((a{100}){100}){100}"])
def test_what_prometheus_does_not_know_is_an_error(expression: str) -> None:
    """Lookarounds, back references and huge repetitions are refused, as in Prometheus."""
    with pytest.raises(QueryError):
        instant(history(), f'jobs{{queue=~"{expression}"}}', 9_000)


@pytest.mark.parametrize(
    "query", ["jobs", "rate(jobs[5s])", "sum(jobs) + sum(jobs)", 'jobs{queue=~".*"}', "stddev_over_time(jobs[9s])"]
)
def test_a_query_ends_when_its_time_is_over(query: str) -> None:
    """A slow query is ended, and the error names the limit and what to do."""
    seconds = itertools.count()  # each look at the clock takes a second
    budget = Budget(time_limit_s=3, clock=lambda: float(next(seconds)))
    with pytest.raises(QueryError, match=r"^the query took longer than 3 s: narrow the selector"):
        ranged(history(series=70), query, range(0, 9_000, 10), budget)


def test_a_query_can_not_take_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples of all parts of a query together are limited."""
    monkeypatch.setattr(limits, "_MOST_SAMPLES", 20_000)
    query = "+".join(["jobs"] * 20)
    ranged(history(series=100), query, range(1), Budget(clock=lambda: 0.0))
    with pytest.raises(QueryError, match="more than 20000 samples"):
        ranged(history(series=100), query, range(20), Budget(clock=lambda: 0.0))


def test_a_label_can_not_double_again_and_again() -> None:
    """A label that is joined with itself at each level ends in an error before it fills the memory."""
    query = "jobs"
    for _ in range(40):
        query = f'label_join({query}, "queue", "", "queue", "queue")'
    with pytest.raises(QueryError, match="a label of the result has more than 16384 characters"):
        instant(history(), query, 9_000)
    replacement = "$1" * 5_000
    with pytest.raises(QueryError, match="a label of the result has more than"):
        instant(history(), f'label_replace(jobs, "queue", "{replacement}", "queue", "(.*)")', 9_000)


def test_a_replacement_with_an_impossible_group_is_empty() -> None:
    """A group that does not exist is replaced by nothing, however long its number is."""
    found = instant(history(series=1), f'label_replace(jobs, "x", "a${"9" * 6_000}", "queue", ".*")', 9_000)
    assert found == instant(history(series=1), 'label_replace(jobs, "x", "a", "queue", ".*")', 9_000)


def test_a_query_can_be_cancelled() -> None:
    """A query that nobody waits for ends at its next look at the clock."""
    budget = Budget()
    budget.check()
    budget.cancel()
    with pytest.raises(QueryError, match="cancelled"):
        instant(history(), "jobs", 0, budget)
