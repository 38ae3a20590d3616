"""The catalogue: the four metrics of the watched system, and what the pipeline tells of itself.

All of them are ordinary `prometheus_client` instruments.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from .store.schema import Schema

__all__ = [
    "API_ERRORS",
    "BATCHES",
    "DB_QUERY_DURATION",
    "HTTP_REQUESTS",
    "HTTP_REQUEST_DURATION",
    "OVERFLOW_SCHEMA",
    "SAMPLES_LOST",
    "SELF_REGISTRY",
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

# Kept out of the default registry: a program's own /metrics page must not grow by our bookkeeping.
SELF_REGISTRY = CollectorRegistry()
BATCHES = Counter(
    "kairo_batches_total",
    "Batches by what became of them.",
    ["outcome"],
    registry=SELF_REGISTRY,
)
SAMPLES_LOST = Counter(
    "kairo_samples_lost_total",
    "Increments, observations and settings that could not be delivered, by family.",
    ["family"],
    registry=SELF_REGISTRY,
)
# Counted by the store itself, which alone knows when a family is full.
OVERFLOW_SCHEMA = Schema(
    "kairo_samples_overflowed",
    "counter",
    ("family",),
    help="Series updates that went to the overflow series because the family was full, by family.",
)
