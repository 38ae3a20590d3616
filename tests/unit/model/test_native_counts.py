"""The buckets of a native histogram: bounds that are exact, and merges that lose nothing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.model.native_counts import COARSEST, FINEST, NativeCounts, bucket_index
from tests.support.native_amounts import AMOUNTS, SCHEMAS, counts_of


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
