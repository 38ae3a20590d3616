"""Random amounts for native histograms, and the counts after observing them one by one."""

from __future__ import annotations

from hypothesis import strategies as st

from lib.kairo_metrics.model.native_counts import COARSEST, FINEST, NativeCounts

AMOUNTS = st.floats(allow_nan=False, allow_infinity=False).map(lambda amount: float(f"{amount:.6g}"))


SCHEMAS = st.integers(COARSEST, FINEST)


THRESHOLDS = st.sampled_from([0.0, 2.0**-128, 0.001, 0.5, 3.0])


def counts_of(amounts: list[float], schema: int, threshold: float) -> NativeCounts:
    """Observe amounts one by one, and return the counts."""
    counts = NativeCounts(schema, threshold)
    for amount in amounts:
        counts.observe(amount)
    return counts
