"""Prometheus metrics for functions that live for seconds.

    from prometheus_client import Counter
    from lib.kairo_metrics import instrument

    PUBLISHED = Counter("content_published_total", "Entries published", ["kind"])
    app = instrument(app)

Instruments are `prometheus_client`'s own. What they count is sent to Redis after each response, as one
atomic batch; `metrics_app` serves the sum of all instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from .config.settings import Settings
from .delivery.pipeline import current_pipeline, current_settings, open_pipeline
from .entrypoints.asgi import Instrumented, is_wsgi
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
    from starlette.applications import Starlette

    from .config.push_settings import PushSettings
    from .endpoints.metrics_endpoint import MetricsEndpoint
    from .endpoints.token_sources import TokenSource
    from .instruments.native_histogram import NativeHistogram
    from .store.protocol import Store

__all__ = [
    "KairoError",
    "NativeHistogram",
    "ReceiverError",
    "Settings",
    "SettingsError",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "TokenSourceError",
    "aflush",
    "flush",
    "install",
    "instrument",
    "metrics_app",
    "push_app",
]


def __getattr__(name: str) -> Any:
    """Import what few programs need when they ask for it."""
    if name == "NativeHistogram":
        from .instruments.native_histogram import NativeHistogram

        return NativeHistogram
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def instrument(
    app: Any,
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    exemplar: ExemplarSource = trace_of,
) -> Any:
    """Measure every request of an ASGI app, and send what its instruments counted after each response.

    While metrics are not enabled the app is returned as it is.

    Args:
        app: any ASGI app: Starlette, FastAPI, Litestar, Quart, or a plain callable.
        settings: by default read from the environment.
        store: by default Redis, as the settings say.
        exemplar: gives for a request (its ASGI scope) the labels of the exemplars that what it counts gets, or None;
            by default the trace in its `traceparent`.

    Raises:
        SettingsError: a variable of the environment is malformed.
        NotImplementedError: the app is a WSGI app.

    Example:
        >>> async def hello(scope, receive, send): ...
        >>> instrument(hello, settings=Settings(enabled=False)) is hello
        True
    """
    pipeline = open_pipeline(settings, store)
    if pipeline is None or isinstance(app, Instrumented):
        return app
    if is_wsgi(app):
        raise NotImplementedError(
            "WSGI apps are not measured yet; an adapter such as asgiref's WsgiToAsgi makes them ASGI"
        )
    return Instrumented(app, pipeline.flusher, exemplar)


def metrics_app(
    *, settings: Settings | None = None, store: Store | None = None, token_source: TokenSource | None = None
) -> MetricsEndpoint:
    """Build the endpoint that Prometheus scrapes.

    Args:
        settings: by default those that `instrument` was given, else read from the environment.
        store: by default Redis, as the settings say.
        token_source: where the accepted tokens are kept, in place of what the settings say of them.

    Raises:
        SettingsError: a variable of the environment is malformed.

    Example:
        >>> app = metrics_app(settings=Settings(enabled=False))
    """
    # The read side is a good part of the package's import, and one function of a deployment needs it.
    from .endpoints.metrics_endpoint import MetricsEndpoint

    settings = settings or current_settings()
    return MetricsEndpoint(open_pipeline(settings, store), settings, token_source)


def push_app(
    *, settings: Settings | None = None, store: Store | None = None, push_settings: PushSettings | None = None
) -> Starlette:
    """Build the endpoint that a cron calls to push what a scrape would show to a remote-write receiver.

    Args:
        settings: by default those that `instrument` was given, else read from the environment.
        store: by default Redis, as the settings say.
        push_settings: the receiver, its login and the cron's secret; by default read from the environment.

    Raises:
        SettingsError: a variable of the environment is malformed.

    Example:
        >>> app = push_app(settings=Settings(enabled=False))
    """
    from .config.push_settings import PushSettings
    from .endpoints.push_endpoint import push_endpoint

    settings = settings or current_settings()
    return push_endpoint(open_pipeline(settings, store), settings, push_settings or PushSettings.from_env())


def install(*registries: CollectorRegistry) -> None:
    """Record what instruments count from now on, and adopt those that exist already.

    `instrument` and `metrics_app` call it; a script that has no app calls it, and `flush` at its end.

    Args:
        registries: registries of your own; the default one is always included.

    Raises:
        SettingsError: a variable of the environment is malformed.
    """
    open_pipeline(registries=registries)


def flush() -> None:
    """Send what is pending now, blocking; nothing happens while metrics are not enabled.

    Raises:
        StoreError: it could not be sent within `METRICS_FLUSH_BUDGET_MS`; it stays pending.
    """
    if pipeline := current_pipeline():
        pipeline.flusher.flush()


async def aflush() -> None:
    """Send what is pending now; nothing happens while metrics are not enabled.

    Raises:
        StoreError: it could not be sent within `METRICS_FLUSH_BUDGET_MS`; it stays pending.
    """
    if pipeline := current_pipeline():
        await pipeline.flusher.aflush()
