"""The process's one way from its instruments to the store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry

from ..config.settings import Settings
from ..errors import KairoError
from ..instruments.adoption import adopt
from ..instruments.children import bound
from ..instruments.values import RECORDER
from ..store.redis_store import RedisStore
from .flusher import Flusher

if TYPE_CHECKING:
    from ..store.protocol import Store

__all__ = ["Pipeline", "close_pipeline", "current_pipeline", "current_settings", "open_pipeline"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A store, and the flusher that brings this process's deltas there."""

    settings: Settings
    store: Store
    flusher: Flusher


_opened: dict[str, Pipeline] = {}


def open_pipeline(
    settings: Settings | None = None, store: Store | None = None, registries: tuple[CollectorRegistry, ...] = ()
) -> Pipeline | None:
    """Return the process's pipeline, opened on first use; None while metrics are not enabled.

    A process has one set of instruments, so it has one pipeline: asking again with the same settings gives
    the same one. Instruments that exist are adopted. Nothing is sent or connected here.

    Args:
        settings: by default read from the environment, or those of the open pipeline.
        store: by default Redis, as the settings say.
        registries: whose instruments are adopted, beside the default registry's.

    Raises:
        KairoError: another pipeline is open in this process.
        SettingsError: a variable of the environment is malformed.
    """
    opened = _opened.get("pipeline")
    settings = settings or current_settings()
    if not settings.enabled:
        return None
    if opened is None:
        store = store or RedisStore(settings)
        opened = _opened["pipeline"] = Pipeline(settings, store, Flusher(RECORDER, store, settings))
        _restart_after_fork(opened)
    elif opened.settings != settings or store not in {None, opened.store}:
        raise KairoError("metrics are already recorded in this process with other settings; give the same ones")
    bound(settings.max_series, settings.series_ttl_s)
    adopt(REGISTRY, *registries)
    return opened


def current_settings() -> Settings:
    """Return the settings of the open pipeline, else those of the environment.

    Raises:
        SettingsError: a variable of the environment is malformed.
    """
    opened = _opened.get("pipeline")
    return opened.settings if opened else Settings.from_env()


def current_pipeline() -> Pipeline | None:
    """Return the open pipeline, opening it on first use; None while metrics are not enabled."""
    return _opened.get("pipeline") or open_pipeline()


def close_pipeline() -> None:
    """Forget the pipeline, so that the next one may have other settings; what is pending stays recorded."""
    _opened.clear()


def _restart_after_fork(pipeline: Pipeline) -> None:
    """Make a forked child a writer of its own: what its parent has not sent is the parent's to send."""

    def restart() -> None:
        RECORDER.forget()
        pipeline.flusher.forget()
        if isinstance(pipeline.store, RedisStore):
            pipeline.store.forget_connections()

    os.register_at_fork(after_in_child=restart)
