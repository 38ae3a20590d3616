"""The catalogue: our own metrics of the watched system, as ordinary `prometheus_client` instruments.

They live in a registry of ours, `OWN`, so that they take no name in the program's registries. A group has the
instruments of one concern, and is built when it is first needed. To add a group, write its class and its declarations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from ..errors import KairoError
from ..model.delivery_metrics import SCHEMAS
from ..model.encoding import is_classic_label
from ..model.fork_lock import fork_lock

__all__ = [
    "DECLARATIONS",
    "OWN",
    "SETUP_LOCK",
    "DeliveryInstruments",
    "DjangoInstruments",
    "FunctionInstruments",
    "OutboundInstruments",
    "QueryInstruments",
    "RequestInstruments",
    "WebSocketInstruments",
    "built",
    "catalogue",
    "may_be_ours",
    "prefix_with",
    "settle_prefix",
]

Group = TypeVar("Group", bound="_Group")

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

# Of a fact that is the same for all instances, such as a state of the database.
_LAST_SET = {"multiprocess_mode": "mostrecent"}

# These families tell of the delivery and not of the program, and have no prefix.
_DELIVERY = "kairo_"

_built: dict[type[_Group], Any] = {}
_settled: list[str] = []


class Declaration(NamedTuple):
    """An instrument that is not built yet."""

    kind: type[Counter | Gauge | Histogram]
    name: str
    help: str
    labelnames: tuple[str, ...]
    options: Mapping[str, Any] = MappingProxyType({})

    def named(self, prefix: str) -> str:
        """Return the name with the prefix, if it has one."""
        return self.name if self.name.startswith(_DELIVERY) else f"{prefix}{self.name}"

    def build(self) -> MetricWrapperBase:
        """Build it in our registry."""
        name = self.named(prefix_with(None))
        try:
            return self.kind(name, self.help, self.labelnames, registry=OWN, **self.options)
        except ValueError:
            built_meanwhile = OWN._names_to_collectors.get(name)  # noqa: SLF001  there is no public look-up
            if not isinstance(built_meanwhile, MetricWrapperBase):
                raise
            # By a signal handler in this thread, which holds the lock already.
            return built_meanwhile


class _Group:
    """The instruments of one concern, in the order of their declarations.

    It is no named tuple: a process builds few of the groups, and making such a class takes 0.1 ms of every cold start.
    """

    def __init__(self, instruments: Iterable[MetricWrapperBase]) -> None:
        vars(self).update(zip(type(self).__annotations__, instruments, strict=True))


class RequestInstruments(_Group):
    """The requests to an app."""

    requests: Counter
    request_duration: Histogram
    errors: Counter


class WebSocketInstruments(_Group):
    """The websockets of an app."""

    connections: Counter
    in_progress: Gauge
    duration: Histogram
    errors: Counter


class FunctionInstruments(_Group):
    """Functions that are no requests to an app."""

    invocations: Counter
    duration: Histogram
    errors: Counter
    cold_starts: Counter


class QueryInstruments(_Group):
    """The queries of a database, through SQLAlchemy."""

    query_duration: Histogram
    query_errors: Counter


class DjangoInstruments(_Group):
    """The queries of Django, and its migrations."""

    query_duration: Histogram
    query_errors: Counter
    migrations_applied: Gauge
    migrations_unapplied: Gauge


class OutboundInstruments(_Group):
    """The requests that a program sends."""

    requests: Counter
    request_duration: Histogram
    errors: Counter


class DeliveryInstruments(_Group):
    """What the metrics endpoint and the push endpoint do besides serving the page."""

    token_reads: Counter
    pushes: Counter
    pushed_samples: Counter


# In the order of the fields. The names of all groups are ours, also of those that a process never builds.
DECLARATIONS: dict[type[_Group], tuple[Declaration, ...]] = {
    RequestInstruments: (
        Declaration(Counter, "http_requests_total", "HTTP requests answered.", ("method", "route", "status")),
        Declaration(
            Histogram,
            "http_request_duration_seconds",
            "Seconds from a request's arrival to the last byte of its body.",
            ("method", "route"),
            {"buckets": _REQUEST_BUCKETS},
        ),
        Declaration(
            Counter,
            "api_errors_total",
            "Answers of 5xx and unhandled exceptions, by the exception's class or the status.",
            ("method", "route", "type"),
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


# Our names without the endings that a page or a registry adds.
_STEMS = {
    *(one.name.removesuffix("_total") for declared in DECLARATIONS.values() for one in declared),
    *(schema.name for schema in SCHEMAS),
}


def catalogue(group: type[Group]) -> Group:
    """Return a group's instruments; the first call in a process builds them."""
    if group not in _built:
        with SETUP_LOCK:
            _built.setdefault(group, group(one.build() for one in DECLARATIONS[group]))
    instruments_of_group: Group = _built[group]
    return instruments_of_group


def built(group: type[Group]) -> Group | None:
    """Return a group's instruments if they are built; nothing builds them while metrics are off."""
    return _built.get(group)


def may_be_ours(name: str, prefix: str) -> bool:
    """Tell, without much work, whether an instrument with this name may have a name of ours; it hardly ever has."""
    stems = [stem for one in (name, name.removeprefix(prefix)) for stem in (one, one.rpartition("_")[0])]
    return any(stem in _STEMS for stem in stems) or not name.isidentifier()  # such a name is printed as another one


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
    # Prometheus keeps the colon, which is valid in a name, for recording rules.
    if prefix and not is_classic_label(prefix):
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
                for declaration, instrument in zip(DECLARATIONS[group], vars(instruments).values(), strict=True):
                    if declaration.named(prefix) != declaration.name:
                        put_before(instrument, prefix, OWN)
