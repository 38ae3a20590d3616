"""The apps of a program that were given to `instrument`: each test measures them anew, with metrics on.

An app may have been made before the test, while metrics were off. It is measured at its first request in the test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

from .. import instrument, metrics_app
from ..delivery import process_pipeline
from ..delivery.process_pipeline import InstrumentCall
from ..endpoints.metrics_endpoint import ENDPOINTS
from ..endpoints.wsgi_form import close_page_loop, has_page_loop
from ..entrypoints import http_handler
from ..entrypoints.app_wrapper import AppWrapper
from ..entrypoints.in_place import entries_of, is_measured_class
from ..entrypoints.lambda_instance import INSTANCES
from ..entrypoints.request_rules import RequestRules
from ..frameworks.hooks import give_own_class
from .django_client import measured_django_client

__all__ = ["fresh_apps", "settle_names"]

_WAITS = "_kairo_waits"
# The test's own: a call in the program has those of its deployment.
_LEFT_OUT = ("settings", "store")
_MOST_WAITING = 256
_waiting: dict[tuple[type, str], type] = {}


@contextmanager
def fresh_apps() -> Iterator[None]:
    """Measure the apps that live already anew in a block; after it they are as before, and its own are unmeasured."""
    before = [(app, _Measurement.taken_out_of(app)) for app, _ in _living()]
    with ExitStack() as stack:
        stack.callback(_put_back, before, list(process_pipeline._calls))
        stack.enter_context(_ended_loops())
        stack.enter_context(_fresh_pages())
        for app, call in _living():
            _prepare(app, call)
        stack.enter_context(measured_django_client(lambda: [(app, _options_of(call)) for app, call in _living()]))
        yield


def settle_names() -> None:
    """Let the measured apps count under the names that hold now, also if a later call chooses others."""
    for app, _ in _living():
        for measurement in http_handler.measurements_of(app) if isinstance(app, type) else entries_of(app):
            rules = getattr(measurement, "rules", None)  # what serves the page at a path of an app has none
            if isinstance(rules, RequestRules):
                rules.counts  # noqa: B018  made here


def _put_back(before: list[tuple[Any, _Measurement]], calls: list[InstrumentCall]) -> None:
    for app, _ in _living():
        _Measurement.taken_out_of(app)
    known = {id(app) for app, _ in before}
    new = [call for app, call in _living() if id(app) not in known]
    process_pipeline._calls[:] = [*(call for call in calls if call.app() is not None), *new]
    for app, measurement in before:
        measurement.put_back(app)


@contextmanager
def _fresh_pages() -> Iterator[None]:
    """Let the pages that live already show what the block counts."""
    before = [(endpoint, dict(vars(endpoint))) for endpoint in ENDPOINTS]
    try:
        for endpoint, _ in before:
            vars(endpoint).update(vars(metrics_app(token_source=endpoint.token_source)))
        yield
    finally:
        for endpoint, attributes in before:
            vars(endpoint).update(attributes)


@contextmanager
def _ended_loops() -> Iterator[None]:
    """End the event loops that begin in the block: of Lambda functions, and of pages of WSGI apps."""
    started = {instance for instance in INSTANCES if instance.is_started}
    had_page_loop = has_page_loop()
    try:
        yield
    finally:
        for instance in set(INSTANCES).difference(started):
            instance.close()
        if not had_page_loop:
            close_page_loop()


def _living() -> list[tuple[Any, InstrumentCall]]:
    calls = [(call.app(), call) for call in list(process_pipeline._calls)]
    return [(app, call) for app, call in calls if app is not None]


def _prepare(app: Any, call: InstrumentCall) -> None:
    if call.interface != "handler":
        with suppress(TypeError):  # a function has no class of its own; while metrics were off, it was given back
            _let_wait(app, call.interface)
    elif _is_of_a_module(app):  # the class of a test that is over may live on for a while
        instrument(app, **_options_of(call))
        if http_handler.is_measured(app):
            for subclass in _family(app)[1:]:
                http_handler.measure_subclass(subclass)


def _options_of(call: InstrumentCall) -> dict[str, Any]:
    return {name: value for name, value in call.options.items() if name not in _LEFT_OUT}


def _is_of_a_module(handler_class: type) -> bool:
    if "<locals>" not in handler_class.__qualname__:
        return True
    return getattr(sys.modules.get(handler_class.__module__), handler_class.__name__, None) is handler_class


def _let_wait(app: Any, interface: str) -> None:
    """Let the first request to the app measure it, unless the test has called `instrument` for it before.

    The apps of one class share the class of those that wait: a program may make an app in each test.
    """
    own_class = type(app)
    if (own_class, interface) in _waiting:
        _set_class(app, _waiting[own_class, interface])
        return
    if len(_waiting) >= _MOST_WAITING:
        _waiting.clear()
    call = _asgi_call if interface == "asgi" else _wsgi_call
    give_own_class(app, __call__=call, **{_WAITS: own_class})
    _waiting[own_class, interface] = type(app)


async def _asgi_call(app: Any, scope: Any, receive: Any, send: Any) -> None:
    await _awake(app)(scope, receive, send)


def _wsgi_call(app: Any, environ: Any, start_response: Any) -> Any:
    return _awake(app)(environ, start_response)


def _awake(app: Any) -> Callable[..., Any]:
    """Return what to call: the app, measured now, or if it is measured already, what it is without that."""
    own_class = getattr(type(app), _WAITS)
    if _WAITS not in vars(type(app)):
        return partial(AppWrapper.call_app if own_class is AppWrapper else own_class.__call__, app)
    _set_class(app, own_class)
    _measure(app, next(_options_of(call) for known, call in _living() if known is app))
    return app  # type: ignore[no-any-return]


def _measure(app: Any, options: dict[str, Any]) -> None:
    measured = instrument(app.app if type(app) is AppWrapper else app, **options)
    if measured is not app:  # it is a wrapper of a function; with metrics off in the test, there is no new one
        _set_class(app, type(measured) if isinstance(measured, AppWrapper) else _Unmeasured)


class _Unmeasured(AppWrapper):
    __call__ = AppWrapper.call_app


class _Measurement:
    """What makes an app a measured one: the class that it has, or the methods that a handler class has."""

    def __init__(self, own_class: type, methods: dict[type, dict[str, Any]]) -> None:
        self._class = own_class
        self._methods = methods

    @classmethod
    def taken_out_of(cls, app: Any) -> _Measurement:
        """Let an app be as it was before it was measured, and return what to put back."""
        if isinstance(app, type):
            return cls(type(app), {each: _without_methods(each) for each in _family(app)})
        own_class = type(app)
        if any(map(_is_ours, own_class.__mro__)):
            _set_class(app, next(base for base in own_class.__mro__ if not any(map(_is_ours, base.__mro__))))
        return cls(own_class, {})

    def put_back(self, app: Any) -> None:
        if isinstance(app, type):
            for owner, methods in self._methods.items():
                for name, method in methods.items():
                    setattr(owner, name, method)
        else:
            _set_class(app, self._class)


def _is_ours(base: type) -> bool:
    return is_measured_class(base) or _WAITS in vars(base)


def _set_class(app: Any, own_class: type) -> None:
    if type(app) is not own_class:
        object.__setattr__(app, "__class__", own_class)


def _family(handler_class: type[BaseHTTPRequestHandler]) -> list[type]:
    return [handler_class, *(one for below in handler_class.__subclasses__() for one in _family(below))]


def _without_methods(handler_class: type) -> dict[str, Any]:
    """Take what `instrument` has put into a handler class out of it, and return that."""
    ours = {name: value for name, value in vars(handler_class).items() if http_handler.is_ours(name, value)}
    for name, value in ours.items():
        original = getattr(getattr(value, "__func__", value), "__wrapped__", None)
        delattr(handler_class, name)
        inherited = getattr(handler_class, name, None)
        if original is not None and original is not getattr(inherited, "__func__", inherited):
            setattr(handler_class, name, classmethod(original) if isinstance(value, classmethod) else original)
    return ours
