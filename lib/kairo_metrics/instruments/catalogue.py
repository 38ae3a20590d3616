"""The catalogue: the metrics of the watched system, as ordinary `prometheus_client` instruments."""

from __future__ import annotations

from dataclasses import dataclass, fields

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from .adoption import SETUP_LOCK

__all__ = ["Catalogue", "built_catalogue", "catalogue"]

# Both lists have a bound at exactly 0.2, from which the operator counts a query as slow, and several above 1, so that a
# p95 of some seconds does not look like one second.
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUERY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

_built: list[Catalogue] = []


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The instruments; each is registered in prometheus_client's default registry."""

    requests: Counter
    request_duration: Histogram
    errors: Counter
    query_duration: Histogram
    token_reads: Counter
    pushes: Counter
    pushed_samples: Counter


def catalogue() -> Catalogue:
    """Return the catalogue; the first call in a process builds it and registers its instruments.

    Raises:
        ValueError: the program has registered an instrument with the name of one of these. None is registered then.
    """
    if not _built:
        with SETUP_LOCK:
            if not _built:
                _build_once()
    return _built[0]


def built_catalogue() -> Catalogue | None:
    """Return the catalogue if it was built; it is not while metrics are off."""
    return _built[0] if _built else None


def _build_once() -> None:
    try:
        built = _build()
    except ValueError:
        if not _built:
            raise
        # A signal handler in this thread, which holds the lock already, has built it meanwhile.
    else:
        _built.append(built)


def _build() -> Catalogue:
    built = Catalogue(
        requests=Counter(
            "http_requests_total", "HTTP requests answered.", ["method", "route", "status"], registry=None
        ),
        request_duration=Histogram(
            "http_request_duration_seconds",
            "Seconds from a request's arrival to the last byte of its body.",
            ["method", "route"],
            buckets=_REQUEST_BUCKETS,
            registry=None,
        ),
        errors=Counter(
            "api_errors_total",
            "Answers of 5xx and unhandled exceptions, by the exception's class or the status.",
            ["method", "route", "type"],
            registry=None,
        ),
        query_duration=Histogram(
            "tenant_db_query_duration_seconds",
            "Seconds that a database query took.",
            ["model", "operation"],
            buckets=_QUERY_BUCKETS,
            registry=None,
        ),
        token_reads=Counter(
            "kairo_token_reads_total",
            "Times an instance read the accepted tokens from where they are kept: "
            "done, missing (there is none) or failed.",
            ["outcome"],
            registry=None,
        ),
        pushes=Counter(
            "kairo_pushes_total",
            "Times that the metrics were pushed to a remote-write receiver: done, refused, or failed on the way.",
            ["outcome"],
            registry=None,
        ),
        pushed_samples=Counter(
            "kairo_pushed_samples_total",
            "Samples that a remote-write receiver has taken or has refused.",
            ["outcome"],
            registry=None,
        ),
    )
    _register([getattr(built, field.name) for field in fields(built)])
    return built


def _register(instruments: list[Counter | Histogram]) -> None:
    """Register all of them or none."""
    for position, instrument in enumerate(instruments):
        try:
            REGISTRY.register(instrument)
        except ValueError:
            for registered in instruments[:position]:
                REGISTRY.unregister(registered)
            raise


@dataclass(frozen=True, slots=True)
class WebSocketFamilies:
    """Websockets."""

    connections: Counter
    in_progress: Gauge
    duration: Histogram
    errors: Counter


@dataclass(frozen=True, slots=True)
class FunctionFamilies:
    """Functions that are no HTTP requests."""

    invocations: Counter
    duration: Histogram
    errors: Counter
    cold_starts: Counter


_others: dict[str, object] = {}
_LONG_BUCKETS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


def websocket_families():
    with SETUP_LOCK:
        if "ws" not in _others:
            _others["ws"] = WebSocketFamilies(
                Counter(
                    "websocket_connections_total",
                    "Websockets that clients asked for: accepted or refused.",
                    ["route", "outcome"],
                ),
                Gauge(
                    "websocket_connections_in_progress",
                    "Websockets that are open.",
                    ["route"],
                    multiprocess_mode="livesum",
                ),
                Histogram(
                    "websocket_duration_seconds",
                    "Seconds from the request for a websocket to its end.",
                    ["route"],
                    buckets=_LONG_BUCKETS,
                ),
                Counter("websocket_errors_total", "Exceptions that ended a websocket, by class.", ["route", "type"]),
            )
    return _others["ws"]


def function_families():
    with SETUP_LOCK:
        if "fn" not in _others:
            _others["fn"] = FunctionFamilies(
                Counter(
                    "function_invocations_total",
                    "Invocations of functions, by outcome: success, partial, error or cancelled.",
                    ["function", "outcome"],
                ),
                Histogram(
                    "function_duration_seconds",
                    "Seconds that an invocation took.",
                    ["function"],
                    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0),
                ),
                Counter(
                    "function_errors_total", "Exceptions that ended an invocation, by class.", ["function", "type"]
                ),
                Counter("function_cold_starts_total", "First invocations of a function in an instance.", ["function"]),
            )
    return _others["fn"]
