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
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from .config.settings import Settings
from .delivery.pipeline import current_pipeline, current_settings, open_pipeline
from .entrypoints.interfaces import interface_of, measured_app
from .entrypoints.traces import ExemplarSource, trace_of
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
    from wsgiref.types import WSGIApplication

    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from .config.push_settings import PushSettings
    from .endpoints.health_endpoint import health_app
    from .endpoints.token_sources import TokenSource
    from .entrypoints.invocations import Measured, measured
    from .instruments.native_histogram import NativeHistogram
    from .store.store_interface import Store

__all__ = [
    "ExemplarSource",
    "KairoError",
    "Measured",
    "NativeHistogram",
    "PushSettings",
    "ReceiverError",
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
    "measured",
    "metrics_app",
    "metrics_wsgi_app",
    "push_app",
]


# Imported at the first use of the name: few functions need these, and each import is part of every cold start.
_MODULES = {
    "NativeHistogram": ".instruments.native_histogram",
    "PushSettings": ".config.push_settings",
    "Store": ".store.store_interface",
    "TokenSource": ".endpoints.token_sources",
    "health_app": ".endpoints.health_endpoint",
    "Measured": ".entrypoints.invocations",
    "measured": ".entrypoints.invocations",
}


def __getattr__(name: str) -> Any:
    """Import the module of a name in `_MODULES`."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    """List the names that are not imported yet as well."""
    return sorted({*globals(), *__all__})


def instrument(
    app: Any,
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    exemplar: ExemplarSource = trace_of,
    metrics_path: str | None = None,
) -> Any:
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

    Raises:
        TypeError: `app` is none of these; a function that is no app is measured by `measured`.
        ValueError: the program has registered a metric under a name of ours, such as `http_requests_total`.

    Example:
        >>> async def hello(scope, receive, send): ...
        >>> instrument(hello, settings=Settings(enabled=False)) is hello
        True
    """
    interface = interface_of(app)  # before anything else, so that a wrong argument is found with metrics off as well
    pipeline = open_pipeline(settings, store)
    if pipeline is not None:
        app = measured_app(app, interface, pipeline.flusher, exemplar)
    if metrics_path is not None:
        from .entrypoints.page_path import serving_page  # few apps serve the page themselves

        build = metrics_app if interface == "asgi" else metrics_wsgi_app
        app = serving_page(app, interface, metrics_path, lambda: build(settings=settings, store=store))
    return app


def metrics_app(
    *, settings: Settings | None = None, store: Store | None = None, token_source: TokenSource | None = None
) -> ASGIApp:
    """Build the endpoint that Prometheus scrapes.

    Args:
        settings: by default those given to `instrument`, else read from the environment.
        store: by default Redis, as the settings say.
        token_source: where the accepted tokens are read from, in place of the settings.

    Raises:
        ValueError: the program has registered a metric under a name of ours, such as `http_requests_total`.

    Example:
        >>> app = metrics_app(settings=Settings(enabled=False))
    """
    # Imported late: only one function of a deployment needs it, and it is a large part of the package's import time.
    from .endpoints.metrics_endpoint import MetricsEndpoint

    settings, problem = (settings, None) if settings else current_settings()
    return MetricsEndpoint(open_pipeline(settings, store), settings, token_source, problem)


def metrics_wsgi_app(
    *, settings: Settings | None = None, store: Store | None = None, token_source: TokenSource | None = None
) -> WSGIApplication:
    """Build the endpoint that Prometheus scrapes as a WSGI app, to mount in Flask or Django; see `metrics_app`.

    Example:
        >>> app = metrics_wsgi_app(settings=Settings(enabled=False))
    """
    from .endpoints.wsgi_form import WSGIForm

    return WSGIForm(metrics_app(settings=settings, store=store, token_source=token_source))


def push_app(
    *, settings: Settings | None = None, store: Store | None = None, push_settings: PushSettings | None = None
) -> Starlette:
    """Build the endpoint that a cron calls to push the metrics to a remote-write receiver.

    Args:
        settings: by default those given to `instrument`, else read from the environment.
        store: by default Redis, as the settings say.
        push_settings: the receiver, the login there and the cron's secret; by default read from the environment.

    Raises:
        ValueError: the program has registered a metric under a name of ours, such as `http_requests_total`.

    Example:
        >>> app = push_app(settings=Settings(enabled=False))
    """
    from .config.push_settings import load_push_settings
    from .endpoints.push_endpoint import push_endpoint

    settings, problem = (settings, None) if settings else current_settings()
    if push_settings is None:
        push_settings, push_problem = load_push_settings(settings)
        problem = problem or push_problem
    return push_endpoint(open_pipeline(settings, store), settings, push_settings, problem)


def install(*registries: CollectorRegistry) -> None:
    """Record what instruments count from now on, those that exist already included.

    `instrument` and `metrics_app` do this as well. A script without an app calls it first, and `flush` at its end.

    Args:
        registries: your own registries; the default registry is always included.

    Raises:
        TypeError: one of them is not a registry.
        ValueError: the program has registered a metric under a name of ours, such as `http_requests_total`.
    """
    for registry in registries:
        if not isinstance(registry, CollectorRegistry):
            raise TypeError(f"install takes registries, not {type(registry).__name__}")
    open_pipeline(registries=registries)


def flush() -> None:
    """Send what is pending now, and block until it is sent; do nothing while metrics are not enabled.

    Raises:
        StoreError: it could not be sent within `METRICS_FLUSH_BUDGET_MS`; it stays pending.
        ValueError: the program has registered a metric under a name of ours, such as `http_requests_total`.
    """
    if pipeline := current_pipeline():
        pipeline.flusher.flush()


async def aflush() -> None:
    """Send what is pending now; do nothing while metrics are not enabled.

    Raises:
        StoreError: it could not be sent within `METRICS_FLUSH_BUDGET_MS`; it stays pending.
        ValueError: the program has registered a metric under a name of ours, such as `http_requests_total`.
    """
    if pipeline := current_pipeline():
        await pipeline.flusher.aflush()
