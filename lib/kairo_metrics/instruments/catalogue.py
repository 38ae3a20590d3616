"""The catalogue: our own metrics of the watched system, as ordinary `prometheus_client` instruments.

They live in a registry of ours, `OWN`, so that they take no name in the program's registries. A dataclass, the group,
has the instruments of one concern, and is built when it is first needed. To add a group, write its dataclass and list
it in `GROUPS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from ..errors import KairoError
from ..model.fork_lock import fork_lock

__all__ = [
    "GROUPS",
    "OWN",
    "SETUP_LOCK",
    "DeliveryInstruments",
    "FunctionInstruments",
    "QueryInstruments",
    "RequestInstruments",
    "WebSocketInstruments",
    "built",
    "catalogue",
    "declarations",
    "prefix_with",
    "settle_prefix",
]

T = TypeVar("T")

OWN = CollectorRegistry()

# Held while the process's instruments, its catalogue and its pipeline are set up: each of them exists once. Reentrant:
# a signal handler may flush in a thread that holds it.
SETUP_LOCK = fork_lock()

# Both lists have a bound at exactly 0.2, from which the operator counts a query as slow, and several above 1, so that a
# p95 of some seconds does not look like one second.
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0)
_QUERY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Up to the 15 minutes that a Lambda function may take, and the hours of a websocket.
_LONG_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)

# Prometheus keeps the colon, which is valid in a name, for recording rules.
_PREFIX = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)?")
# These families tell of the delivery and not of the program, and have no prefix.
_DELIVERY = "kairo_"

_built: dict[type[Any], Any] = {}
_settled: list[str] = []


@dataclass(frozen=True, slots=True)
class _Declaration:
    """An instrument that is not built yet."""

    kind: type[Counter | Gauge | Histogram]
    name: str
    help: str
    labelnames: tuple[str, ...]
    options: dict[str, Any]

    def named(self, prefix: str) -> str:
        return self.name if self.name.startswith(_DELIVERY) else f"{prefix}{self.name}"

    def build(self) -> MetricWrapperBase:
        name = self.named(prefix_with(None))
        try:
            return self.kind(name, self.help, self.labelnames, registry=OWN, **self.options)
        except ValueError:
            built_meanwhile = OWN._names_to_collectors.get(name)  # noqa: SLF001  there is no public look-up
            if not isinstance(built_meanwhile, MetricWrapperBase):
                raise
            # By a signal handler in this thread, which holds the lock already.
            return built_meanwhile


def _declared(
    kind: type[Counter | Gauge | Histogram], name: str, text: str, *labelnames: str, **options: Any
) -> dict[str, _Declaration]:
    return {"declaration": _Declaration(kind, name, text, labelnames, options)}


@dataclass(frozen=True, slots=True)
class RequestInstruments:
    """The requests to an app."""

    requests: Counter = field(
        metadata=_declared(Counter, "http_requests_total", "HTTP requests answered.", "method", "route", "status")
    )
    request_duration: Histogram = field(
        metadata=_declared(
            Histogram,
            "http_request_duration_seconds",
            "Seconds from a request's arrival to the last byte of its body.",
            "method",
            "route",
            buckets=_REQUEST_BUCKETS,
        )
    )
    errors: Counter = field(
        metadata=_declared(
            Counter,
            "api_errors_total",
            "Answers of 5xx and unhandled exceptions, by the exception's class or the status.",
            "method",
            "route",
            "type",
        )
    )


@dataclass(frozen=True, slots=True)
class WebSocketInstruments:
    """The websockets of an app."""

    connections: Counter = field(
        metadata=_declared(
            Counter,
            "websocket_connections_total",
            "Websockets that clients have asked for: accepted or refused.",
            "route",
            "outcome",
        )
    )
    in_progress: Gauge = field(
        metadata=_declared(
            Gauge,
            "websocket_connections_in_progress",
            "Websockets that are open.",
            "route",
            multiprocess_mode="livesum",
        )
    )
    duration: Histogram = field(
        metadata=_declared(
            Histogram,
            "websocket_duration_seconds",
            "Seconds from the request for a websocket to its end.",
            "route",
            buckets=_LONG_BUCKETS,
        )
    )
    errors: Counter = field(
        metadata=_declared(
            Counter, "websocket_errors_total", "Exceptions that ended a websocket, by class.", "route", "type"
        )
    )


@dataclass(frozen=True, slots=True)
class FunctionInstruments:
    """Functions that are no requests to an app."""

    invocations: Counter = field(
        metadata=_declared(
            Counter,
            "function_invocations_total",
            "Invocations of functions, by outcome: success, partial, error or cancelled.",
            "function",
            "outcome",
        )
    )
    duration: Histogram = field(
        metadata=_declared(
            Histogram,
            "function_duration_seconds",
            "Seconds that an invocation took.",
            "function",
            buckets=_LONG_BUCKETS,
        )
    )
    errors: Counter = field(
        metadata=_declared(
            Counter, "function_errors_total", "Exceptions that ended an invocation, by class.", "function", "type"
        )
    )
    cold_starts: Counter = field(
        metadata=_declared(
            Counter, "function_cold_starts_total", "First invocations of a function in an instance.", "function"
        )
    )


@dataclass(frozen=True, slots=True)
class QueryInstruments:
    """The queries of a database."""

    query_duration: Histogram = field(
        metadata=_declared(
            Histogram,
            "tenant_db_query_duration_seconds",
            "Seconds that a database query took.",
            "model",
            "operation",
            buckets=_QUERY_BUCKETS,
        )
    )


@dataclass(frozen=True, slots=True)
class DeliveryInstruments:
    """What the metrics endpoint and the push endpoint do besides serving the page."""

    token_reads: Counter = field(
        metadata=_declared(
            Counter,
            "kairo_token_reads_total",
            "Times an instance read the accepted tokens from where they are kept: "
            "done, missing (there is none) or failed.",
            "outcome",
        )
    )
    pushes: Counter = field(
        metadata=_declared(
            Counter,
            "kairo_pushes_total",
            "Times that the metrics were pushed to a remote-write receiver: done, refused, or failed on the way.",
            "outcome",
        )
    )
    pushed_samples: Counter = field(
        metadata=_declared(
            Counter,
            "kairo_pushed_samples_total",
            "Samples that a remote-write receiver has taken or has refused.",
            "outcome",
        )
    )


# The names of all groups are ours, also of those that a process never builds.
GROUPS: tuple[type[Any], ...] = (
    RequestInstruments,
    WebSocketInstruments,
    FunctionInstruments,
    QueryInstruments,
    DeliveryInstruments,
)


def catalogue(group: type[T]) -> T:
    """Return a group's instruments; the first call in a process builds them."""
    if group not in _built:
        with SETUP_LOCK:
            instruments = {name: declaration.build() for name, declaration in declarations(group).items()}
            _built.setdefault(group, group(**instruments))
    instruments_of_group: T = _built[group]
    return instruments_of_group


def built(group: type[T]) -> T | None:
    """Return a group's instruments if they are built; nothing builds them while metrics are off."""
    return _built.get(group)


def declarations(group: type[Any]) -> dict[str, _Declaration]:
    """Return what a group declares, by field."""
    return {one.name: one.metadata["declaration"] for one in fields(group)}


def prefix_with(prefix: str | None) -> str:
    """Return the prefix of our names in this process if a call gives this one; None gives none.

    Raises:
        TypeError: it is no text.
        ValueError: no metric's name can begin with it.
        KairoError: an earlier call has settled on another one.
    """
    if prefix is None:
        return _settled[0] if _settled else ""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a text, not {type(prefix).__name__}")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"no metric's name can begin with prefix={prefix!r}: "
            "it may have letters of ASCII, digits and '_', and must not begin with a digit"
        )
    if _settled and _settled[0] != prefix:
        raise KairoError(
            f"metrics have prefix={_settled[0]!r} in this process since an earlier call of instrument or install, "
            f"so prefix={prefix!r} comes too late; give the prefix in the first call"
        )
    return prefix


def settle_prefix(prefix: str) -> None:
    """Let the process's names have this prefix from now on, also those of groups that are built already."""
    with SETUP_LOCK:
        if _settled:
            return
        _settled.append(prefix)
        if prefix and _built:
            from .renaming import put_before  # few programs run a query before they instrument an app

            for group, instruments in _built.items():
                for name, declaration in declarations(group).items():
                    if declaration.named(prefix) != declaration.name:
                        put_before(getattr(instruments, name), prefix, OWN)
