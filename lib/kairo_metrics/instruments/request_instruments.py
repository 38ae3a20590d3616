"""What is counted of the requests to an app, whatever it has chosen."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from .declaration import Declaration, Group

__all__ = ["REQUEST_BUCKETS", "RequestInstruments"]

# A bound at exactly 0.2, and several above 1, so that a p95 of some seconds does not look like one second.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestInstruments(Group):
    """The requests to an app that were answered."""

    # They have no fields: the names of another library bring along others than these.
    declared = (
        Declaration(
            Counter, "http_requests_total", "HTTP requests answered.", ("method", "route", "status"), counts="requests"
        ),
        Declaration(
            Histogram,
            "http_request_duration_seconds",
            "Seconds from a request's arrival to the last byte of its body.",
            ("method", "route"),
            {"buckets": REQUEST_BUCKETS},
            buckets_of="http",
            counts="seconds",
        ),
        Declaration(
            Counter,
            "api_errors_total",
            "Answers of 5xx and unhandled exceptions, by the exception's class or the status.",
            ("method", "route", "type"),
            counts="errors",
        ),
    )
