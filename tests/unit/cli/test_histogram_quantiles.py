"""Quantiles of classic and native histograms, compared with what Prometheus makes of the same buckets."""

from __future__ import annotations

import math
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.cli.histogram_quantiles import bucket_of, classic_quantile, native_buckets, native_quantile
from lib.kairo_metrics.model.native_counts import NativeCounts
from tests.support.native_amounts import AMOUNTS, SCHEMAS, counts_of
from tests.support.prometheus_server import require

HISTOGRAMS = [
    ("0.1 1.0 +Inf", (3, 5, 2)),
    ("0.1 1.0 +Inf", (10, 0, 0)),
    ("0.1 1.0 +Inf", (0, 0, 7)),
    ("-1.0 0.0 2.0 +Inf", (4, 4, 4, 0)),
    ("0.005 0.01 0.025 0.05 +Inf", (128, 19, 0, 1, 2)),
    ("1.0 +Inf", (1, 0)),
]


@pytest.mark.prometheus
def test_quantiles_are_those_of_prometheus(tmp_path: Path) -> None:
    """The real histogram_quantile returns the same for the same buckets."""
    series, tests = [], []
    for number, (bounds, counts) in enumerate(HISTOGRAMS):
        below = 0
        for bound, count in zip(bounds.split(), counts, strict=True):
            below += count
            series.append({"series": f'wait_bucket{{number="{number}",le="{bound}"}}', "values": str(below)})
        for share in (0.25, 0.5, 0.95, 0.99, 1.0):
            value = classic_quantile(share, [float(bound) for bound in bounds.split()], counts)
            query = f'histogram_quantile({share}, wait_bucket{{number="{number}"}})'
            expected: Any = {"labels": f'{{number="{number}"}}', "value": value}
            tests.append({"expr": query, "eval_time": "0m", "exp_samples": [expected]})
    file = tmp_path / "quantiles.yml"
    file.write_text(yaml.safe_dump({"tests": [{"input_series": series, "promql_expr_test": tests}]}))
    checked = subprocess.run([require("promtool"), "test", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_quantile_of_nothing_is_no_number() -> None:
    """A histogram without observations has no quantiles."""
    assert math.isnan(classic_quantile(0.5, [1.0, math.inf], [0, 0]))
    assert math.isnan(native_quantile(0.5, NativeCounts(3, 0.001)))


def _side(*counts: int) -> Counter[int]:
    """Return buckets from the one that ends at 1 on, as Prometheus' own tests write them."""
    return Counter({index: count for index, count in enumerate(counts) if count})


ONE_SIDE = {"zero_threshold": 0.001, "sum": 100.0, "count": 12, "zero_count": 2}
POSITIVE = NativeCounts(0, **ONE_SIDE, positive=_side(2, 3, 0, 1, 4))  # type: ignore[arg-type]
NEGATIVE = NativeCounts(0, **ONE_SIDE, negative=_side(2, 3, 0, 1, 4))  # type: ignore[arg-type]
BALANCED = NativeCounts(0, 0.0, 0.0, 8, 0, _side(1, 2, 1), _side(1, 2, 1))
ZEROS = NativeCounts(0, 0.5, 0.25, 1, 1)


# The estimates stand in Prometheus 3, promql/promqltest/testdata/native_histograms.test.
@pytest.mark.parametrize(
    ("counts", "share", "estimate"),
    [
        (POSITIVE, 1, 16),
        (POSITIVE, 0.99, 15.67072476139083),
        (POSITIVE, 0.9, 12.99603834169977),
        (POSITIVE, 0.6, 4.594793419988138),
        (POSITIVE, 0.5, 1.5874010519681994),
        (POSITIVE, 0.1, 0.0006),
        (POSITIVE, 0, 0),
        (NEGATIVE, 1, 0),
        (NEGATIVE, 0.99, -0.00006),
        (NEGATIVE, 0.9, -0.0006),
        (NEGATIVE, 0.5, -1.5874010519681996),
        (NEGATIVE, 0.1, -12.996038341699768),
        (BALANCED, 0.5, 0.5),
        (ZEROS, 0.5, 0),
    ],
)
def test_native_quantiles_are_those_of_prometheus(counts: NativeCounts, share: float, estimate: float) -> None:
    """Users read the same estimate here as from `histogram_quantile` over a native histogram."""
    assert native_quantile(share, counts) == pytest.approx(estimate, abs=1e-12)


@given(
    st.lists(AMOUNTS | st.sampled_from([math.inf, -math.inf, 1.7976931348623157e308]), min_size=1, max_size=20),
    SCHEMAS,
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_a_native_quantile_lies_between_the_lowest_and_highest_bucket(
    amounts: list[float], schema: int, share: float
) -> None:
    """For any observations the estimate lies within the buckets, and the buckets hold every observation."""
    counts = counts_of(amounts, schema, 2.0**-128)
    buckets = native_buckets(counts)
    assert sum(bucket.count for bucket in buckets) == len(amounts)
    bounds = [bound for bucket in buckets for bound in (bucket.lower, bucket.upper)]
    assert bounds == sorted(bounds)
    assert bounds[0] * (1 + 1e-9 * (bounds[0] < 0)) <= native_quantile(share, counts) <= bounds[-1] * (1 + 1e-9)


def test_a_quantile_lies_in_one_bucket() -> None:
    """The bucket of a quantile is the first one at which the share of the observations is reached."""
    assert [bucket_of(share, [3, 5, 2]) for share in (0.3, 0.5, 0.8, 0.95)] == [0, 1, 1, 2]
