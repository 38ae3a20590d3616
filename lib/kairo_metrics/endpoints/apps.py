"""What a function exports as its app: the metrics page, for ASGI and WSGI, and the push."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..delivery.process_pipeline import checked_registries, current_settings, open_pipeline
from .metrics_endpoint import MetricsEndpoint

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from prometheus_client import CollectorRegistry
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from ..config.push_settings import PushSettings
    from ..store.store_interface import Store
    from .token_sources import TokenSource

__all__ = ["metrics_app", "metrics_wsgi_app", "push_app"]


def metrics_app(
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    token_source: TokenSource | None = None,
    registry: CollectorRegistry | None = None,
) -> ASGIApp:
    """Build the endpoint that Prometheus scrapes.

    Args:
        settings: by default those given to `instrument`, else read from the environment.
        store: by default Redis, as the settings say.
        token_source: where the accepted tokens are read from, in place of the settings.
        registry: your own registry, if its collectors are to run for each page, too; those of the default one do.

    Raises:
        TypeError: an argument has a wrong type.
        KairoError: an earlier call in this process has given other `settings` or another `store`.

    Example:
        >>> app = metrics_app(settings=Settings(enabled=False))
    """
    if token_source is not None and (
        isinstance(token_source, type) or not callable(getattr(token_source, "read", None))
    ):
        raise TypeError(f"token_source must be a TokenSource, not {type(token_source).__name__}")
    registries = () if registry is None else checked_registries("metrics_app", registry)
    pipeline = open_pipeline(settings, store, registries, has_page=True)
    settings, problem = current_settings()
    return MetricsEndpoint(pipeline, settings, token_source, problem)


def metrics_wsgi_app(
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    token_source: TokenSource | None = None,
    registry: CollectorRegistry | None = None,
) -> WSGIApplication:
    """Build the endpoint that Prometheus scrapes as a WSGI app, to mount in Flask or Django; see `metrics_app`.

    Example:
        >>> app = metrics_wsgi_app(settings=Settings(enabled=False))
    """
    from .wsgi_form import WSGIForm

    return WSGIForm(metrics_app(settings=settings, store=store, token_source=token_source, registry=registry))


def push_app(
    *,
    settings: Settings | None = None,
    store: Store | None = None,
    push_settings: PushSettings | None = None,
    registry: CollectorRegistry | None = None,
) -> Starlette:
    """Build the endpoint that a cron calls to push the metrics to a remote-write receiver.

    Args:
        settings: by default those given to `instrument`, else read from the environment.
        store: by default Redis, as the settings say.
        push_settings: the receiver, the login there and the cron's secret; by default read from the environment.
        registry: as in `metrics_app`, for each push.

    Raises:
        TypeError: an argument has a wrong type.
        KairoError: an earlier call in this process has given other `settings` or another `store`.

    Example:
        >>> app = push_app(settings=Settings(enabled=False))
    """
    # Imported late, as that of the WSGI form: most deployments need neither.
    from ..config.push_settings import PushSettings, load_push_settings
    from .push_endpoint import push_endpoint

    if push_settings is not None and not isinstance(push_settings, PushSettings):
        raise TypeError(f"push_settings must be PushSettings, not {type(push_settings).__name__}")
    registries = () if registry is None else checked_registries("push_app", registry)
    pipeline = open_pipeline(settings, store, registries, has_page=True)
    settings, problem = current_settings()
    if push_settings is None:
        push_settings, push_problem = load_push_settings(settings)
        problem = problem or push_problem
    return push_endpoint(pipeline, settings, push_settings, problem)
