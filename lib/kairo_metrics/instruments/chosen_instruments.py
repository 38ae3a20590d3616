"""What is counted of the requests to an app only if it is chosen."""

from __future__ import annotations

from prometheus_client import Gauge, Histogram

from .declaration import Declaration, Group

__all__ = ["InProgressInstruments", "SizeInstruments"]

# Bytes, from an empty body to a file of a gigabyte.
_SIZE_BUCKETS = (0.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)


class InProgressInstruments(Group):
    """The requests that an app is serving."""

    declared = (
        Declaration(
            Gauge,
            "http_requests_in_progress",
            "HTTP requests that are being served.",
            ("method",),
            {"multiprocess_mode": "livesum"},
            counts="in_progress",
        ),
    )


class SizeInstruments(Group):
    """The bytes of requests and responses."""

    declared = (
        Declaration(
            Histogram,
            "http_request_size_bytes",
            "Bytes of a request's body.",
            ("method", "route"),
            {"buckets": _SIZE_BUCKETS},
            counts="request_bytes",
        ),
        Declaration(
            Histogram,
            "http_response_size_bytes",
            "Bytes of a response's body, as the app has sent it.",
            ("method", "route"),
            {"buckets": _SIZE_BUCKETS},
            counts="response_bytes",
        ),
    )
