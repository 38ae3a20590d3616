"""The catalogue: the metrics of the watched system, as ordinary `prometheus_client` instruments."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

__all__ = [
    "API_ERRORS",
    "DB_QUERY_DURATION",
    "HTTP_REQUESTS",
    "HTTP_REQUEST_DURATION",
    "PUSHES",
    "TOKEN_READS",
]

# Both lists have a bound at exactly 0.2 (the operator's line for a slow query) and several above 1,
# so that a p95 of some seconds can be told from one second.
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUERY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

HTTP_REQUESTS = Counter("http_requests_total", "HTTP requests answered.", ["method", "route", "status"])
HTTP_REQUEST_DURATION = Histogram(
    "http_request_duration_seconds",
    "Seconds from a request's arrival to the last byte of its body.",
    ["method", "route"],
    buckets=_REQUEST_BUCKETS,
)
API_ERRORS = Counter(
    "api_errors_total",
    "Answers of 5xx and unhandled exceptions, by the exception's class or the status.",
    ["method", "route", "type"],
)
DB_QUERY_DURATION = Histogram(
    "tenant_db_query_duration_seconds",
    "Seconds that a database query took.",
    ["model", "operation"],
    buckets=_QUERY_BUCKETS,
)
TOKEN_READS = Counter(
    "kairo_token_reads_total",
    "Times an instance read the accepted tokens from where they are kept: done, missing (there is none) or failed.",
    ["outcome"],
)
PUSHES = Counter(
    "kairo_pushes_total",
    "Times that the metrics were pushed to a remote-write receiver: done, refused, or failed on the way.",
    ["outcome"],
)
