"""The names of other libraries, as data: what their request metrics are called, and the options that they begin with.

A preset takes the place of our own declarations of requests. It gives each label the fact that is its value. Facts
whose name begins with @ are known for presets alone; no label of the program can have such a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from prometheus_client import Counter, Gauge, Histogram, Summary

from .chosen_instruments import InProgressInstruments, SizeInstruments
from .declaration import Group
from .preset_declaration import PresetDeclaration
from .request_instruments import RequestInstruments

__all__ = ["PRESETS", "Preset"]

_Labels = Mapping[str, str]
_NONE: _Labels = {}


class Preset(NamedTuple):
    """The request metrics of another library.

    Args:
        prefix: of its names, unless another is chosen.
        unmatched: the route of a path that matches none.
        unmatched_statuses: answers with these count as those to a path that matches none.
        options: those of `instrument`, where a call does not choose.
        declarations: by group; a group that is not here has our own.
    """

    prefix: str
    unmatched: str
    options: Mapping[str, Any]
    declarations: Mapping[type[Group], tuple[PresetDeclaration, ...]]
    unmatched_statuses: tuple[int, ...] = ()


def _requests(name: str, text: str, labels: _Labels = _NONE, *needs: str) -> PresetDeclaration:
    """Count requests, or those alone of which these facts are known."""
    return PresetDeclaration(Counter, name, text, labels, "requests", needs=needs)


def _bytes(whose: str, labels: _Labels) -> PresetDeclaration:
    text = f"Total HTTP {whose} body bytes"
    return PresetDeclaration(Counter, f"{whose}_body_bytes_total", text, labels, f"{whose}_length")


def _seconds(name: str, text: str, labels: _Labels, buckets: tuple[float, ...], **more: Any) -> PresetDeclaration:
    more = {"buckets_of": "http", **more}
    return PresetDeclaration(Histogram, name, text, labels, "seconds", options={"buckets": buckets}, **more)


def _in_progress(name: str, text: str, labels: _Labels, **more: Any) -> tuple[PresetDeclaration, ...]:
    options = {"multiprocess_mode": "livesum"}
    return (PresetDeclaration(Gauge, name, text, labels, "in_progress", options=options, **more),)


def _starlette_exporter() -> Preset:
    """starlette_exporter 0.24. Its label `app_name` is one of the further labels."""
    labels = {"method": "method", "path": "route", "status_code": "status"}
    return Preset(
        "starlette_",
        "__unknown__",
        {"labels": {"app_name": "starlette"}, "in_progress": True, "skip_paths": ("__unmatched__",)},
        {
            RequestInstruments: (
                _requests("requests_total", "Total HTTP requests", labels),
                _seconds(
                    "request_duration_seconds", "HTTP request duration, in seconds", labels, Histogram.DEFAULT_BUCKETS
                ),
            ),
            InProgressInstruments: _in_progress(
                "requests_in_progress", "Total HTTP requests currently in progress", {"method": "method"}
            ),
            SizeInstruments: (
                _bytes("request", labels),
                _bytes("response", labels),
            ),
        },
        unmatched_statuses=(405,),  # it looks for a route with the method
    )


def _fastapi_instrumentator() -> Preset:
    """prometheus-fastapi-instrumentator 8.1."""
    highr = (0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60)
    handler = {"handler": "route"}
    text = (
        "Content length of {} by handler. Only value of header is respected. Otherwise ignored. "
        "No percentile calculated. "
    )
    return Preset(
        "",
        "none",
        {"group_status": True},
        {
            RequestInstruments: (
                _requests(
                    "http_requests_total",
                    "Total number of requests by method, status and handler.",
                    {"method": "method", "status": "status", **handler},
                ),
                PresetDeclaration(
                    Summary, "http_request_size_bytes", text.format("incoming requests"), handler, "request_length"
                ),
                PresetDeclaration(
                    Summary, "http_response_size_bytes", text.format("outgoing responses"), handler, "response_length"
                ),
                _seconds(
                    "http_request_duration_highr_seconds",
                    "Latency with many buckets but no API specific labels. "
                    "Made for more accurate percentile calculations. ",
                    _NONE,
                    highr,
                    buckets_of="http_highr",
                    has_further_labels=False,
                ),
                _seconds(
                    "http_request_duration_seconds",
                    "Latency with only few buckets by handler. "
                    "Made to be only used if aggregation by handler is important. ",
                    {"method": "method", **handler},
                    (0.1, 0.5, 1),
                ),
            ),
            # The library gives it neither its namespace nor labels.
            InProgressInstruments: _in_progress(
                "http_requests_inprogress",
                "Number of HTTP requests in progress.",
                _NONE,
                has_further_labels=False,
                has_prefix=False,
            ),
            SizeInstruments: (),  # they are there in any case
        },
    )


def _flask_exporter() -> Preset:
    """prometheus_flask_exporter 0.23."""
    labels = {"method": "method", "status": "status"}
    return Preset(
        "flask_",
        "__unmatched__",
        {},
        {
            RequestInstruments: (
                _seconds(
                    "http_request_duration_seconds",
                    "Flask HTTP request duration in seconds",
                    {**labels, "path": "route"},
                    Histogram.DEFAULT_BUCKETS,
                ),
                _requests("http_request_total", "Total number of HTTP requests", labels),
                _requests(
                    "http_request_exceptions_total",
                    "Total number of HTTP requests which resulted in an exception",
                    labels,
                    "@unhandled",
                ),
            ),
        },
    )


def _django_prometheus() -> Preset:
    """django-prometheus 2.5. What its inner middleware counts needs the view: Django has looked for one."""
    latency = (0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 25.0, 50.0, 75.0)
    sizes = {"buckets": (0.0, *(2.0**power for power in range(30)))}
    method, view, status = {"method": "method"}, {"view": "@view"}, {"status": "status"}
    called, transport = {"view": "@called_view"}, {"transport": "@transport"}
    rows = (
        _requests("requests_before_middlewares_total", "Total count of requests before middlewares run."),
        _requests("responses_before_middlewares_total", "Total count of responses before middlewares run."),
        _seconds(
            "requests_latency_including_middlewares_seconds",
            "Histogram of requests processing time (including middleware processing time).",
            _NONE,
            latency,
        ),
        _requests(
            "requests_unknown_latency_including_middlewares_total",
            "Count of requests for which the latency was unknown (when computing "
            "django_http_requests_latency_including_middlewares_seconds).",
            _NONE,
            "@unknown_latency",  # nobody tells it: each latency is known
        ),
        # An exception of a view is observed twice there: when it is raised, and with the answer.
        _seconds(
            "requests_latency_seconds_by_view_method",
            "Histogram of request processing time labelled by view.",
            {**view, **method},
            latency,
            twice_with="@exception",
        ),
        _requests(
            "requests_unknown_latency_total",
            "Count of requests for which the latency was unknown.",
            _NONE,
            "@unknown_latency",
        ),
        _requests("ajax_requests_total", "Count of AJAX requests.", _NONE, "@ajax", "@view"),
        _requests("requests_total_by_method", "Count of requests by method.", method, "@view"),
        _requests("requests_total_by_transport", "Count of requests by transport.", transport),
        _requests(
            "requests_total_by_view_transport_method",
            "Count of requests by view, transport, method.",
            {**called, **transport, **method},
        ),
        PresetDeclaration(
            Histogram,
            "requests_body_total_bytes",
            "Histogram of requests by body size.",
            _NONE,
            "request_length",
            options=sizes,
            needs=("@view",),
        ),
        _requests(
            "responses_total_by_templatename", "Count of responses by template name.", {"templatename": "@template"}
        ),
        _requests("responses_total_by_status", "Count of responses by status.", status, "@view"),
        _requests(
            "responses_total_by_status_view_method",
            "Count of responses by status, view, method.",
            {**status, **view, **method},
        ),
        PresetDeclaration(
            Histogram,
            "responses_body_total_bytes",
            "Histogram of responses by body size.",
            _NONE,
            "body_length",
            options=sizes,
            needs=("@view", "@body_length"),
        ),
        _requests("responses_total_by_charset", "Count of responses by charset.", {"charset": "@charset"}, "@view"),
        _requests("responses_streaming_total", "Count of streaming responses.", _NONE, "@streaming", "@view"),
        _requests("exceptions_total_by_type", "Count of exceptions by object type.", {"type": "@exception"}),
        _requests("exceptions_total_by_view", "Count of exceptions by view.", called, "@exception"),
    )
    return Preset(
        "",
        "__unmatched__",
        {},
        {RequestInstruments: tuple(row.renamed(f"django_http_{row.name}") for row in rows)},
    )


# Each is made when it is chosen.
PRESETS = {
    "django_prometheus": cache(_django_prometheus),
    "fastapi_instrumentator": cache(_fastapi_instrumentator),
    "flask_exporter": cache(_flask_exporter),
    "starlette_exporter": cache(_starlette_exporter),
}
