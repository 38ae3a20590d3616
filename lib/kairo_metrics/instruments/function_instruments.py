"""What is counted of functions that are no requests to an app."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from .declaration import Declaration, Group

__all__ = ["LONG_BUCKETS", "FunctionInstruments"]

# Up to the 15 minutes that a Lambda function may take, and the hours of a websocket.
LONG_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


class FunctionInstruments(Group):
    """Functions that are no requests to an app."""

    invocations: Counter
    duration: Histogram
    errors: Counter
    cold_starts: Counter

    declared = (
        Declaration(
            Counter,
            "function_invocations_total",
            "Invocations of functions, by outcome: success, partial, error or cancelled.",
            ("function", "outcome"),
        ),
        Declaration(
            Histogram,
            "function_duration_seconds",
            "Seconds that an invocation took.",
            ("function",),
            {"buckets": LONG_BUCKETS},
            buckets_of="function",
        ),
        Declaration(
            Counter, "function_errors_total", "Exceptions that ended an invocation, by class.", ("function", "type")
        ),
        Declaration(
            Counter, "function_cold_starts_total", "First invocations of a function in an instance.", ("function",)
        ),
    )
