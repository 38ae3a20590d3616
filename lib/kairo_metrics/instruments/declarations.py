"""The declarations of our own metrics: groups of families, each with its names, labels and buckets.

To add a group, write its class and its declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from prometheus_client import Counter, Gauge, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

from .shape import Shape, shape

__all__ = [
    "DECLARATIONS",
    "Declaration",
    "DeliveryInstruments",
    "FunctionInstruments",
    "Group",
    "InProgressInstruments",
    "QueryInstruments",
    "RequestGroup",
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

# These families tell of the delivery and not of the program, and have no prefix.
_DELIVERY = "kairo_"


class Declaration(NamedTuple):
    """An instrument that is not built yet.

    Args:
        kind: its class.
        name: without the prefix.
        help: its help text.
        labelnames: without the further labels.
        options: further arguments of the class.
        buckets_of: the durations whose buckets can be chosen that it measures, such as "http".
        counts: what of a request it counts: "requests", "seconds", "errors", "in_progress", "request_bytes" or
            "response_bytes". Such an instrument has the further labels. Presets count lengths as well.
        facts: of each label the fact of the request that is its value, where it has another name than the label.
        needs: it counts only the requests of which these facts are known; for presets.
        twice_with: it counts a request twice of which this fact is known; for presets.
        has_further_labels: whether it has the further labels, if it counts something of a request.
        has_prefix: whether its name gets the prefix.
    """

    kind: type[Counter | Gauge | Histogram | Summary]
    name: str
    help: str
    labelnames: tuple[str, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    buckets_of: str = ""
    counts: str = ""
    facts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    twice_with: str = ""
    has_further_labels: bool = True
    has_prefix: bool = True

    def named(self, prefix: str) -> str:
        """Return the name with the prefix, if it has one."""
        return f"{prefix}{self.name}" if self.has_prefix and not self.name.startswith(_DELIVERY) else self.name

    def further_labels(self, chosen: Shape) -> tuple[str, ...]:
        """Return the names of its further labels."""
        if not self.counts or not self.has_further_labels:
            return ()
        return (chosen.early_labels if self.counts == "in_progress" else chosen.labels) or ()

    def shaped(self, chosen: Shape) -> tuple[Any, ...]:
        """Return what makes its schema: its label names and buckets."""
        buckets = dict(chosen.buckets or ()).get(self.buckets_of, self.options.get("buckets"))
        return (*self.labelnames, *self.further_labels(chosen)), buckets


class Group:
    """The instruments of one concern, in the order of their declarations.

    It is no named tuple: a process builds few of the groups, and making such a class takes 0.1 ms of every cold start.
    """

    def __init__(self, _declarations: Iterable[Declaration], instruments: tuple[MetricWrapperBase, ...]) -> None:
        vars(self).update(zip(type(self).__annotations__, instruments, strict=True))
        self.members = instruments


class RequestGroup(Group):
    """Instruments of the requests to an app, by what they count; each as a function from facts to the labelled child.

    Which instruments there are is data: their number, names and labels may be others than those declared here.
    """

    def __init__(self, declarations: Iterable[Declaration], instruments: tuple[MetricWrapperBase, ...]) -> None:
        self.members = instruments
        self._by_counts: dict[str, list[Callable[[Mapping[str, str]], Any]]] = {}
        for declaration, instrument in zip(declarations, instruments, strict=True):
            facts = (*(declaration.facts or declaration.labelnames), *declaration.further_labels(shape()))
            if shape().names:
                from .preset_children import preset_child  # few programs come from another library

                amounts = declaration.kind is Counter and declaration.counts != "requests"
                child = preset_child(instrument, facts, declaration.needs, declaration.twice_with, is_total=amounts)
            else:
                child = _child_of_facts(instrument, facts)
            self._by_counts.setdefault(declaration.counts, []).append(child)

    def that_count(self, what: str) -> tuple[Callable[[Mapping[str, str]], Any], ...]:
        """Return the instruments that count this."""
        return tuple(self._by_counts.get(what, ()))


def _child_of_facts(instrument: Any, facts: tuple[str, ...]) -> Callable[[Mapping[str, str]], Any]:
    if not facts:
        return lambda _values: instrument
    pick: Any = itemgetter(*facts)
    if len(facts) == 1:
        return lambda values: instrument.labels(pick(values))
    return lambda values: instrument.labels(*pick(values))


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
    """The queries of a database."""

    query_duration: Histogram


class DeliveryInstruments(Group):
    """What the metrics endpoint and the push endpoint do besides serving the page."""

    token_reads: Counter
    pushes: Counter
    pushed_samples: Counter


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
