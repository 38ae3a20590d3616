"""The process's one pipeline: from its instruments, through a flusher, to the store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry

from ..config.settings import Settings, load_settings
from ..errors import KairoError, SettingsError
from ..instruments.adoption import SETUP_LOCK, adopt, renew_client_locks
from ..instruments.catalogue import catalogue
from ..instruments.children import limit_children
from ..instruments.values import RECORDER
from ..store.redis_store import RedisStore
from .flusher import Flusher

if TYPE_CHECKING:
    from ..store.store_interface import Store

__all__ = ["Pipeline", "close_pipeline", "current_pipeline", "current_settings", "open_pipeline"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A store, and the flusher that delivers this process's deltas to it."""

    settings: Settings
    store: Store
    flusher: Flusher


_opened: dict[str, Pipeline] = {}


def open_pipeline(
    settings: Settings | None = None, store: Store | None = None, registries: tuple[CollectorRegistry, ...] = ()
) -> Pipeline | None:
    """Return the process's pipeline, opened on first use; None while metrics are not enabled.

    A process has one set of instruments, so it has one pipeline: later calls with the same settings return it again,
    from any thread. Each call adopts the instruments that exist. It sends nothing and connects to nothing.

    Args:
        settings: by default those of the open pipeline, else those of the environment.
        store: by default Redis, as the settings say.
        registries: those whose instruments are adopted; the default registry always is.

    Raises:
        KairoError: another pipeline is open in this process.
        ValueError: the program has registered a metric with the name of one in the catalogue.
    """
    with SETUP_LOCK:
        opened = _opened.get("pipeline")
        settings = settings or current_settings()[0]
        if not settings.enabled:
            return None
        if opened and (opened.settings != settings or store not in {None, opened.store}):
            raise KairoError("metrics are already recorded in this process with other settings; give the same ones")
        limit_children(settings.max_series, settings.series_ttl_s)
        adopt(REGISTRY, *registries)
        catalogue()
        if opened is None:
            store = store or RedisStore(settings)
            opened = _opened.setdefault("pipeline", Pipeline(settings, store, Flusher(RECORDER, store, settings)))
        return opened


def current_settings() -> tuple[Settings, SettingsError | None]:
    """Return the settings of the open pipeline, else those of the environment; see `load_settings`."""
    opened = _opened.get("pipeline")
    return (opened.settings, None) if opened else load_settings()


def current_pipeline() -> Pipeline | None:
    """Return the open pipeline, opening it on first use; None while metrics are not enabled."""
    return _opened.get("pipeline") or open_pipeline()


def close_pipeline() -> None:
    """Forget the pipeline, so that the next one may have other settings; what is pending stays recorded."""
    with SETUP_LOCK:
        _opened.clear()


def _restart_in_forked_child() -> None:
    """Make a forked child a new writer; the recorder has what the parent left to it."""
    if opened := _opened.get("pipeline"):
        renew_client_locks()
        opened.flusher.forget()
        if isinstance(opened.store, RedisStore):
            opened.store.forget_connections()


os.register_at_fork(after_in_child=_restart_in_forked_child)
