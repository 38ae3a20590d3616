"""The one pipeline of the process, and what the calls that open it have given."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

from prometheus_client import REGISTRY, CollectorRegistry

from ..config.settings import Settings, load_settings
from ..errors import KairoError, SettingsError
from ..instruments.adoption import adopt, adopted_registries, require_free_names
from ..instruments.catalogue import OWN, settle
from ..instruments.child_limits import limit_children
from ..instruments.shape import NO_CHOICE, Shape, shape, suppose_shape
from ..model.fork_locks import SETUP_LOCK
from .pipeline import Pipeline

if TYPE_CHECKING:
    from ..config.options import RequestOptions
    from ..store.store_interface import Store

__all__ = [
    "InstrumentCall",
    "checked_registries",
    "close_pipeline",
    "current_pipeline",
    "current_settings",
    "is_open",
    "on_opening",
    "open_pipeline",
    "published_registries",
    "remember_call",
]


class _Given:
    """What the calls so far have given, with metrics on and off; None where the default counts.

    `named` tells whether one of them has found our names free. What takes one of them later is not sent. `has_page`
    tells whether one of them makes the page. `problem` is what turned metrics off: variables that clash with a call.
    """

    def __init__(
        self,
        settings: Settings | None,
        store: Store | None,
        *,
        named: bool = False,
        has_page: bool = False,
        problem: SettingsError | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.named = named
        self.has_page = has_page
        self.problem = problem


class InstrumentCall:
    """A call of `instrument`: the app that it returned, its interface, and the arguments beside the app."""

    def __init__(self, app: ref[Any], interface: str, options: Mapping[str, Any]) -> None:
        self.app = app
        self.interface = interface
        self.options = options


_opened: dict[str, Pipeline] = {}
_listeners: set[Callable[[], None]] = set()
_given: dict[str, _Given] = {}
# Those of the program that were given so far, with metrics on and off.
_registries: WeakSet[CollectorRegistry] = WeakSet([REGISTRY])
# These two are for a program's own tests, see `testing.isolated_metrics`, which measures its apps anew, and lets a call
# give others than those before it.
_calls: list[InstrumentCall] = []
_allowances: list[Callable[..., None]] = []


def open_pipeline(  # noqa: PLR0913  what a call may choose for the process
    settings: Settings | None = None,
    store: Store | None = None,
    registries: tuple[CollectorRegistry, ...] = (),
    *,
    prefix: str | None = None,
    options: RequestOptions | None = None,
    names_must_be_free: bool = False,
    has_page: bool = False,
) -> Pipeline | None:
    """Return the process's pipeline, opened on first use; None while metrics are not enabled.

    A process has one set of instruments, so it has one pipeline: later calls with the same settings return it again,
    from any thread. Each call adopts the instruments that exist. It sends nothing and connects to nothing. A wrong
    argument is an error also while metrics are off. After an error nothing has changed.

    Args:
        settings: by default those of an earlier call, else those of the environment.
        store: by default Redis, as the settings say.
        registries: those whose instruments are adopted; the default registry always is.
        prefix: goes before our names; None if the call does not say.
        options: those of an app's requests, or buckets alone; None if the call has none.
        names_must_be_free: whether an instrument of the program with a name of ours is an error, in the first such
            call. It settles the shape of our families, also if none is given; other calls settle what they give.
        has_page: whether this process makes the page. There the collectors run that are no instruments.

    Raises:
        TypeError: an argument has a wrong type.
        KairoError: an earlier call in this process has given other settings, another store, another prefix, or options
            that give our families another shape.
        ValueError: the prefix is malformed, or an instrument of the program has a name of ours.
    """
    if settings is not None or store is not None:
        from .given_settings import check_types, differ  # most calls give neither

        check_types(settings, store)
    with SETUP_LOCK:
        if _allowances:
            _allowances[-1](settings, store, prefix, options)
        first = _given.get("first", _Given(settings, store))
        if (store is not None and store != first.store) or (settings is not None and differ(settings, first.settings)):
            raise KairoError(
                "an earlier call in this process had another settings= or store=, or none: "
                "give each call the same, or give them in the first call alone"
            )
        given = settings or first.settings
        checked = (REGISTRY, *_registries, *registries) if names_must_be_free else None
        ask = partial(_asked, prefix, options, checked, first.named)
        chosen, own_shape, all_options, problem = _agreed(given, ask)
        if problem is not None:
            given = chosen
        # From here on nothing is refused.
        if all_options is not None:
            from ..instruments.declarations import choose

            choose(all_options)
        settle(own_shape if names_must_be_free else _said(prefix, options, own_shape))
        _registries.update(registries)
        named = first.named or names_must_be_free
        has_page = first.has_page or has_page
        _given["first"] = _Given(given, first.store, named=named, has_page=has_page, problem=problem or first.problem)
        if not chosen.enabled:
            return None
        limit_children(chosen.max_series, chosen.series_ttl_s)
        adopt(OWN, *_registries, has_page=has_page)
        opened = _opened.get("pipeline")
        if opened is None:
            opened = _opened.setdefault("pipeline", Pipeline(chosen, first.store))
            _given["first"] = _Given(opened.settings, first.store, named=named, has_page=has_page)
            for listener in _listeners:
                listener()
        return opened


def _said(prefix: str | None, options: RequestOptions | None, whole: Shape) -> Shape:
    """Return what a call says that is not about an app: a prefix, also of the names of another library, and buckets."""
    names = None if prefix is None else whole.names or None
    return Shape(prefix, buckets=None if options is None else whole.buckets, names=names)


def _agreed(
    given: Settings | None, ask: partial[tuple[Shape, RequestOptions | None]]
) -> tuple[Settings, Shape, RequestOptions | None, SettingsError | None]:
    """Return the settings, what a call asks for with them, and the error of variables with which it clashes.

    Args:
        given: the settings that a call has given; None if those of the environment count.
        ask: `_asked` with the arguments of the call.
    """
    chosen = given or load_settings()[0]
    try:
        return chosen, *ask(chosen.options), None
    except ValueError as err:
        if given is not None:
            raise
        from .given_settings import clash_with_variables  # few programs have one

        suppose_shape(NO_CHOICE)
        problem = clash_with_variables(err, chosen, ask)
        suppose_shape(NO_CHOICE)
        prefix, options, _, is_later = ask.args
        return Settings() if problem else chosen, *_asked(prefix, options, None, is_later, None), problem


def _asked(
    prefix: str | None,
    options: RequestOptions | None,
    registries: Sequence[CollectorRegistry] | None,
    is_later: bool,
    others: RequestOptions | None,
) -> tuple[Shape, RequestOptions | None]:
    """Return the shape of our families, and the options, that a call asks for together with other options.

    Args:
        prefix: of the call, as its options.
        options: see `prefix`.
        registries: no instrument of these may have a name of ours; None if the call does not mind.
        is_later: see `require_free_names`.
        others: those of the settings.
    """
    asked: tuple[Shape, RequestOptions | None] = shape(), None
    if prefix is not None or options is not None or others is not None or asked[0].names:
        from ..instruments.asked_shape import asked_of  # most programs choose nothing

        asked = asked_of(prefix, options, others)
    if registries is not None:
        require_free_names(registries, *asked, is_later=is_later)
    return asked


def remember_call(app: object, interface: str, options: Mapping[str, Any]) -> None:
    """Remember what `instrument` returned, and the arguments beside the app, for as long as the app lives."""
    with SETUP_LOCK, suppress(TypeError):  # some objects can't be referenced weakly
        call = InstrumentCall(ref(app), interface, options)
        _calls[:] = [known for known in _calls if known.app() is not None and known.app() is not app]
        _calls.append(call)


def checked_registries(taker: str, *registries: CollectorRegistry) -> tuple[CollectorRegistry, ...]:
    """Return the registries that a function of the facade was given.

    Raises:
        TypeError: one of them is not a registry.
    """
    for registry in registries:
        if not isinstance(registry, CollectorRegistry):
            raise TypeError(f"{taker} takes registries, not {type(registry).__name__}")
    return registries


def current_settings() -> tuple[Settings, SettingsError | None]:
    """Return the settings of an earlier call or of the open pipeline, else those of the environment."""
    first = _given.get("first")
    return (first.settings, first.problem) if first and first.settings else load_settings()


def on_opening(listener: Callable[[], None]) -> None:
    """Call a function whenever a pipeline opens; the function must not fail."""
    _listeners.add(listener)


def published_registries() -> list[CollectorRegistry]:
    """Return the registries of the program whose instruments are sent, the default one first."""
    return sorted(_registries, key=lambda registry: registry is not REGISTRY)


def is_open() -> bool:
    """Return whether what instruments count is recorded."""
    return "pipeline" in _opened


def current_pipeline() -> Pipeline | None:
    """Return the open pipeline, opening it on first use; None while metrics are not enabled."""
    return _opened.get("pipeline") or open_pipeline()


def close_pipeline() -> None:
    """Forget the pipeline, so that the next one may have other settings; what is pending stays recorded."""
    with SETUP_LOCK:
        if opened := _opened.get("pipeline"):
            opened.thread_ticker.stop()
        _opened.clear()
        _given.clear()
        _registries.intersection_update([REGISTRY])


def _restart_in_forked_child() -> None:
    """Make a forked child a new writer; the recorder has what the parent left to it."""
    if opened := _opened.get("pipeline"):
        from ..instruments.client_locks import renew_client_locks  # few programs fork

        renew_client_locks(adopted_registries())
        opened.forget()


def _flush_at_exit() -> None:
    if opened := _opened.get("pipeline"):
        opened.flush_at_exit()


os.register_at_fork(after_in_child=_restart_in_forked_child)
atexit.register(_flush_at_exit)
