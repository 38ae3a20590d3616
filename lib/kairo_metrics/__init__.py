"""Prometheus metrics for functions that live for seconds.

    from prometheus_client import Counter
    from lib.kairo_metrics import instrument

    PUBLISHED = Counter("content_published_total", "Entries published", ["kind"])
    app = instrument(app)

Instruments are those of `prometheus_client`. What they count is sent to Redis after each response, as one
atomic batch; `metrics_app` serves the sum of all instances.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import CollectorRegistry

from .config.settings import Settings
from .delivery.process_pipeline import checked_registries, open_pipeline, remember_call
from .errors import (
    KairoError,
    ReceiverError,
    SettingsError,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    TokenSourceError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from re import Pattern

    from .config.options import RequestOptions
    from .config.push_settings import PushSettings
    from .endpoints.apps import metrics_app, metrics_wsgi_app, push_app
    from .endpoints.health_endpoint import health_app
    from .endpoints.token_sources import TokenSource
    from .entrypoints.aws_lambda import lambda_handler
    from .entrypoints.exchange import MeasuredRequest, MeasuredResponse
    from .entrypoints.invocations import Measured, measured
    from .entrypoints.script import aflush, flush, install
    from .entrypoints.traces import ExemplarSource
    from .frameworks.request_route import request_route
    from .instruments.native_histogram import NativeHistogram
    from .integrations.observing import observe
    from .integrations.opentelemetry.reader import KairoMetricReader
    from .store.store_interface import Store

App = TypeVar("App")

__version__ = "0.1.0"

__all__ = [
    "ExemplarSource",
    "KairoError",
    "KairoMetricReader",
    "Measured",
    "MeasuredRequest",
    "MeasuredResponse",
    "NativeHistogram",
    "PushSettings",
    "ReceiverError",
    "RequestOptions",
    "Settings",
    "SettingsError",
    "Store",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "TokenSource",
    "TokenSourceError",
    "aflush",
    "flush",
    "health_app",
    "install",
    "instrument",
    "lambda_handler",
    "measured",
    "metrics_app",
    "metrics_wsgi_app",
    "observe",
    "push_app",
    "request_route",
]


# Imported at the first use of the name: few functions need these, and each import is part of every cold start.
_MODULES = {
    "aflush": ".entrypoints.script",
    "ExemplarSource": ".entrypoints.traces",
    "flush": ".entrypoints.script",
    "health_app": ".endpoints.health_endpoint",
    "install": ".entrypoints.script",
    "KairoMetricReader": ".integrations.opentelemetry.reader",
    "lambda_handler": ".entrypoints.aws_lambda",
    "Measured": ".entrypoints.invocations",
    "measured": ".entrypoints.invocations",
    "MeasuredRequest": ".entrypoints.exchange",
    "MeasuredResponse": ".entrypoints.exchange",
    "metrics_app": ".endpoints.apps",
    "metrics_wsgi_app": ".endpoints.apps",
    "NativeHistogram": ".instruments.native_histogram",
    "observe": ".integrations.observing",
    "push_app": ".endpoints.apps",
    "PushSettings": ".config.push_settings",
    "request_route": ".frameworks.request_route",
    "RequestOptions": ".config.options",
    "Store": ".store.store_interface",
    "TokenSource": ".endpoints.token_sources",
}


# The arguments of `instrument` that are no options of requests.
_OF_ALL_APPS = frozenset({"settings", "store", "exemplar", "metrics_path", "prefix", "registry"})


def __getattr__(name: str) -> Any:
    """Import the module of a name in `_MODULES`."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    """List the names that are not imported yet as well."""
    return sorted({*globals(), *__all__})


def instrument(  # noqa: PLR0913  an app, and what may be chosen for it
    app: App,
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    exemplar: ExemplarSource | None = None,
    metrics_path: str | None = None,
    prefix: str | None = None,
    registry: CollectorRegistry | None = None,
    buckets: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    skip_paths: Iterable[str | Pattern[str]] | None = None,
    skip_methods: Iterable[str | Pattern[str]] | None = None,
    labels: Mapping[str, str | Callable[..., Any]] | None = None,
    group_status: bool | None = None,
    in_progress: bool | None = None,
    sizes: bool | None = None,
    status_codes: Iterable[int | str] | None = None,
    names: str | None = None,
) -> App:
    """Measure every request of an app, and after each response send what the instruments counted.

    While metrics are not enabled, and if a variable of metrics is wrong, the app is returned unchanged; the latter is
    logged, and the page says so.

    Args:
        app: an ASGI app (FastAPI, Starlette, Litestar, Quart, Django, a plain callable), a WSGI app (Flask, Django,
            Bottle, Falcon, Pyramid, a plain callable), or a handler class of `http.server`.
        settings: by default read from the environment.
        store: by default Redis, as the settings say.
        exemplar: takes a request's ASGI scope and returns the labels of its exemplars, or None; by default the trace
            in its `traceparent`.
        metrics_path: serve the metrics page at this path of the app, as `metrics_app` does; for projects that are
            one function.
        prefix: goes before the names of our metrics in this process: with `"shop_"` they are `shop_http_requests_total`
            and so on. By default the one of an earlier call, else none.
        registry: your own registry, if its instruments are to be published, too; see `install`.
        buckets: the upper bounds, in seconds, of the duration histograms of requests and of database queries, up to
            minutes if the app streams; or for each of `"http"`, `"database"`, `"function"` and `"websocket"` its own.
        skip_paths: requests that are not counted, by path or route: text, text with `*` and `?`, or compiled patterns,
            which are searched for.
        skip_methods: the same by method.
        labels: further labels of the metrics of requests: a name, and its value, or a function of the request
            (`MeasuredRequest`), or of the request and the response (`MeasuredResponse`), which returns it. A label has
            `METRICS_MAX_LABEL_VALUES` values at most.
        group_status: whether the label `status` is `"2xx"` in place of `"204"`.
        in_progress: whether the requests that are being served are counted, in `http_requests_in_progress`.
        sizes: whether the bytes of bodies are counted, in `http_request_size_bytes` and `http_response_size_bytes`.
        status_codes: the only statuses whose requests are counted, such as `["2xx", 404]`.
        names: give our metrics of requests the names, labels and buckets that another library has:
            `"starlette_exporter"`, `"fastapi_instrumentator"`, `"flask_exporter"` or `"django_prometheus"`. Dashboards
            made for it go on. `prefix` then takes the place of the library's own.

    Where a call does not choose, the options are those of the environment (`METRICS_SKIP_PATHS` and so on), else off.

    Raises:
        TypeError: `app` is none of these (a function that is no app is measured by `measured`), or another argument has
            a wrong type.
        ValueError: an instrument of the program has a name of ours, such as `http_requests_total`; `prefix` helps. Or
            the prefix or an option is malformed.
        KairoError: an earlier call in this process has given another `prefix`, `settings` or `store`, other `buckets`
            or `names`, or `labels` with other names.

    Example:
        >>> async def hello(scope, receive, send): ...
        >>> instrument(hello, settings=Settings(enabled=False)) is hello
        True
    """
    arguments = {name: value for name, value in locals().items() if name != "app"}
    # Imported late: functions that only serve the page or measure no app do not need it.
    from .entrypoints.interfaces import interface_of, measured_app

    # Before anything else, so that a wrong argument is found with metrics off as well.
    interface = interface_of(app)
    if exemplar is not None and not callable(exemplar):
        raise TypeError(f"exemplar must be a function, not {type(exemplar).__name__}")
    if metrics_path is not None:
        from .entrypoints.page_path import check_page_path, serving_page  # few apps serve the page themselves

        check_page_path(interface, metrics_path)
    registries = () if registry is None else checked_registries("instrument", registry)
    chosen = {name: value for name, value in arguments.items() if name not in _OF_ALL_APPS and value is not None}
    options = None
    if chosen:
        from .config.options import RequestOptions  # most apps choose nothing

        options = RequestOptions(**chosen)
        arguments.update((name, getattr(options, name)) for name in chosen)  # an iterator can be read but once
    pipeline = open_pipeline(
        settings,
        store,
        registries,
        prefix=prefix,
        options=options,
        names_must_be_free=True,
        has_page=metrics_path is not None,
    )
    if pipeline is not None:
        app = measured_app(app, interface, pipeline, exemplar, options)
    if metrics_path is not None:
        from .endpoints import apps

        build = apps.metrics_app if interface == "asgi" else apps.metrics_wsgi_app
        app = serving_page(app, interface, metrics_path, lambda: build(settings=settings, store=store))
    remember_call(app, interface, arguments)
    return app
