"""The declarations of our own metrics: groups of families, each with its names, labels and buckets.

To add a group, write its class and its declarations.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from .declaration import Declaration, Group, RequestGroup

__all__ = [
    "DECLARATIONS",
    "DeliveryInstruments",
    "DjangoInstruments",
    "FunctionInstruments",
    "InProgressInstruments",
    "OutboundInstruments",
    "QueryInstruments",
    "RequestInstruments",
    "SizeInstruments",
    "WebSocketInstruments",
]

# Both lists have a bound at exactly 0.2, from which the operator counts a query as slow, and several above 1, so that a
# p95 of some seconds does not look like one second.
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUERY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Up to the 15 minutes that a Lambda function may take, and the hours of a websocket.
_LONG_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
# Bytes, from an empty body to a file of a gigabyte.
_SIZE_BUCKETS = (0.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)


class RequestInstruments(RequestGroup):
    """The requests to an app that were answered."""


class InProgressInstruments(RequestGroup):
    """The requests that an app is serving; only if it is chosen."""


class SizeInstruments(RequestGroup):
    """The bytes of requests and responses; only if it is chosen."""


class WebSocketInstruments(Group):
    """The websockets of an app."""

    connections: Counter
    in_progress: Gauge
    duration: Histogram
    errors: Counter


class FunctionInstruments(Group):
    """Functions that are no requests to an app."""

    invocations: Counter
    duration: Histogram
    errors: Counter
    cold_starts: Counter


class QueryInstruments(Group):
    """The queries of a database, through SQLAlchemy."""

    query_duration: Histogram
    query_errors: Counter


class DjangoInstruments(Group):
    """The queries of Django, and its migrations."""

    query_duration: Histogram
    query_errors: Counter
    migrations_applied: Gauge
    migrations_unapplied: Gauge


class OutboundInstruments(Group):
    """The requests that a program sends."""

    requests: Counter
    request_duration: Histogram
    errors: Counter


class DeliveryInstruments(Group):
    """What the metrics endpoint and the push endpoint do besides serving the page."""

    token_reads: Counter
    pushes: Counter
    pushed_samples: Counter


# Of a fact that is the same for all instances, such as a state of the database.
_LAST_SET = {"multiprocess_mode": "mostrecent"}

# In the order of the fields.
DECLARATIONS: dict[type[Group], tuple[Declaration, ...]] = {
    RequestInstruments: (
        Declaration(
            Counter, "http_requests_total", "HTTP requests answered.", ("method", "route", "status"), counts="requests"
        ),
        Declaration(
            Histogram,
            "http_request_duration_seconds",
            "Seconds from a request's arrival to the last byte of its body.",
            ("method", "route"),
            {"buckets": _REQUEST_BUCKETS},
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
    ),
    InProgressInstruments: (
        Declaration(
            Gauge,
            "http_requests_in_progress",
            "HTTP requests that are being served.",
            ("method",),
            {"multiprocess_mode": "livesum"},
            counts="in_progress",
        ),
    ),
    SizeInstruments: (
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
    ),
    WebSocketInstruments: (
        Declaration(
            Counter,
            "websocket_connections_total",
            "Websockets that clients have asked for: accepted or refused.",
            ("route", "outcome"),
        ),
        Declaration(
            Gauge,
            "websocket_connections_in_progress",
            "Websockets that are open.",
            ("route",),
            {"multiprocess_mode": "livesum"},
        ),
        Declaration(
            Histogram,
            "websocket_duration_seconds",
            "Seconds from the request for a websocket to its end.",
            ("route",),
            {"buckets": _LONG_BUCKETS},
            buckets_of="websocket",
        ),
        Declaration(
            Counter, "websocket_errors_total", "Exceptions that ended a websocket, by class.", ("route", "type")
        ),
    ),
    FunctionInstruments: (
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
            {"buckets": _LONG_BUCKETS},
            buckets_of="function",
        ),
        Declaration(
            Counter, "function_errors_total", "Exceptions that ended an invocation, by class.", ("function", "type")
        ),
        Declaration(
            Counter, "function_cold_starts_total", "First invocations of a function in an instance.", ("function",)
        ),
    ),
    QueryInstruments: (
        Declaration(
            Histogram,
            "tenant_db_query_duration_seconds",
            "Seconds that a database query took.",
            ("model", "operation"),
            {"buckets": _QUERY_BUCKETS},
            buckets_of="database",
        ),
        Declaration(
            Counter, "tenant_db_query_errors_total", "Database queries that failed.", ("model", "operation", "type")
        ),
    ),
    DjangoInstruments: (
        Declaration(
            Histogram,
            "django_query_duration_seconds",
            "Seconds that a database query took.",
            ("alias", "model", "operation"),
            {"buckets": _QUERY_BUCKETS},
            buckets_of="database",
        ),
        Declaration(
            Counter, "django_query_errors_total", "Queries that failed.", ("alias", "model", "operation", "type")
        ),
        Declaration(Gauge, "django_migrations_applied", "Migrations that the database has.", ("alias",), _LAST_SET),
        Declaration(Gauge, "django_migrations_unapplied", "Migrations that it lacks.", ("alias",), _LAST_SET),
    ),
    OutboundInstruments: (
        Declaration(Counter, "outbound_http_requests_total", "HTTP requests sent.", ("host", "method", "status")),
        Declaration(
            Histogram,
            "outbound_http_request_duration_seconds",
            "Seconds from an HTTP request's sending to the head of its answer.",
            ("host", "method"),
            {"buckets": _REQUEST_BUCKETS},
            buckets_of="http",
        ),
        Declaration(Counter, "outbound_http_errors_total", "HTTP requests that failed.", ("host", "method", "type")),
    ),
    DeliveryInstruments: (
        Declaration(
            Counter,
            "kairo_token_reads_total",
            "Times an instance read the accepted tokens from where they are kept: "
            "done, missing (there is none) or failed.",
            ("outcome",),
        ),
        Declaration(
            Counter,
            "kairo_pushes_total",
            "Times that the metrics were pushed to a remote-write receiver: done, refused, or failed on the way.",
            ("outcome",),
        ),
        Declaration(
            Counter,
            "kairo_pushed_samples_total",
            "Samples that a remote-write receiver has taken or has refused.",
            ("outcome",),
        ),
    ),
}
