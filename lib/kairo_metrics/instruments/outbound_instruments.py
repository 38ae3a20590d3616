"""What is counted of the requests that a program sends."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from .declaration import Declaration, Group
from .request_instruments import REQUEST_BUCKETS

__all__ = ["OutboundInstruments"]


class OutboundInstruments(Group):
    """The requests that a program sends."""

    requests: Counter
    request_duration: Histogram
    errors: Counter

    declared = (
        Declaration(Counter, "outbound_http_requests_total", "HTTP requests sent.", ("host", "method", "status")),
        Declaration(
            Histogram,
            "outbound_http_request_duration_seconds",
            "Seconds from an HTTP request's sending to the head of its answer.",
            ("host", "method"),
            {"buckets": REQUEST_BUCKETS},
            buckets_of="http",
        ),
        Declaration(Counter, "outbound_http_errors_total", "HTTP requests that failed.", ("host", "method", "type")),
    )
