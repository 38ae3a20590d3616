"""The figures of one histogram, for people and for programs."""

from __future__ import annotations

import math

import pytest

from lib.kairo_metrics.cli.histogram_figures import figures_of
from lib.kairo_metrics.model.schema import Schema

CLASSIC = Schema("wait", "histogram", (), ("0.1", "1.0", "+Inf"))
NATIVE = Schema("wait", "native", (), ("0.1", "1.0", "+Inf"))


def test_a_classic_histogram_has_count_mean_and_quantiles() -> None:
    """A quantile beyond the last bound is marked as more than that bound."""
    figures = figures_of(CLASSIC, b"9.5 3 5 2")
    assert figures.cells() == (10, "0.95", "0.46", "> 1", "> 1")
    assert figures.as_json()["buckets"] == {"0.1": 3, "1.0": 8, "+Inf": 10}


def test_a_native_histogram_has_the_same_figures_and_its_own_buckets() -> None:
    """Its count and mean are exact, its quantiles come from its exponential buckets, and no bound cuts them off."""
    figures = figures_of(NATIVE, b"23 5 1 0 0.001 3:4 -")
    assert figures.cells() == (5, "4.6", "5.187", "7.661", "7.931")
    assert figures.as_json() == {
        "count": 5,
        "sum": 23.0,
        "buckets": [{"lower": -0.001, "upper": 0.001, "count": 1}, {"lower": 4.0, "upper": 8.0, "count": 4}],
        "p50": pytest.approx(4 * 2**0.375),
        "p95": pytest.approx(4 * 2**0.9375),
        "p99": pytest.approx(4 * 2**0.9875),
    }


@pytest.mark.parametrize(("schema", "numbers"), [(CLASSIC, b"0 0 0 0"), (NATIVE, b"0 0 0 3 0.001 - -")])
def test_what_was_never_observed_has_no_mean_and_no_quantiles(schema: Schema, numbers: bytes) -> None:
    """Dashes stand in the table, and JSON gets no number that it does not have."""
    figures = figures_of(schema, numbers)
    assert figures.cells() == (0, "-", "-", "-", "-")
    assert figures.as_json()["p50"] == str(math.nan)
