"""Measuring the requests of a handler class of `http.server`, and flushing after each of them."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

from ..delivery.pipeline import Pipeline
from ..frameworks.facts import REQUEST_KEY, RequestFacts
from ..frameworks.route import UNMATCHED
from .calls import Call
from .http_record import UNKNOWN
from .request_rules import RequestRules
from .response_end import end_sending
from .traces import ExemplarSource, exemplar_of, trace_of

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

__all__ = ["is_measured", "is_ours", "measure_subclass", "measured_handler", "measurements_of"]

_FINAL_STATUS = 200
# RFC 9110, section 15.2.2. The one status of 1xx that is an answer: what follows is a websocket.
_SWITCHING_PROTOCOLS = 101
# The attributes that tell that a class is measured, and of a handler the request that it serves.
_MEASURED = "_kairo_measured"
_RECORD = "_kairo_record"


def measured_handler(
    handler_class: type[BaseHTTPRequestHandler],
    pipeline: Pipeline,
    exemplar: ExemplarSource = trace_of,
    rules: RequestRules | None = None,
) -> type[BaseHTTPRequestHandler]:
    """Return the class, with its `do_*` methods and `send_error` measured, those of its subclasses as well.

    The class itself is changed: code in it may speak of it by its name, as `super(handler, self)` does.

    Args:
        handler_class: the class; one of `http.server` itself gets a subclass instead.
        pipeline: flushes after each request.
        exemplar: returns the exemplar labels of a request.
        rules: what is counted of a request.
    """
    rules = rules or RequestRules()
    if known := getattr(handler_class, _MEASURED, None):
        rules.give_way_to(known.rules)
        return handler_class
    if handler_class.__module__ == "http.server":
        handler_class = type(handler_class.__name__, (handler_class,), {})
    _Measurement(handler_class, pipeline, exemplar, rules).put_in()
    return handler_class


def is_measured(handler_class: type[BaseHTTPRequestHandler]) -> bool:
    """Tell whether a handler class is measured."""
    return hasattr(handler_class, _MEASURED)


def measurements_of(handler_class: type[BaseHTTPRequestHandler]) -> tuple[Any, ...]:
    """Return what measures a handler class, if it is measured."""
    return (getattr(handler_class, _MEASURED),) if is_measured(handler_class) else ()


def measure_subclass(subclass: type[BaseHTTPRequestHandler]) -> None:
    """Measure the methods of a subclass of a measured class, which was made before that was measured."""
    getattr(subclass, _MEASURED).measure_methods(subclass, vars(subclass))


def is_ours(name: str, attribute: object) -> bool:
    """Tell whether an attribute of a handler class was put into it to measure it."""
    from .handler_request import note_headers

    code = getattr(getattr(attribute, "__func__", attribute), "__code__", None)
    ours = {function.__code__.co_filename for function in (measured_handler, note_headers)}
    return name == _MEASURED or getattr(code, "co_filename", None) in ours


class _Measurement:
    """Measures the requests of one class."""

    def __init__(self, handler_class: Any, pipeline: Pipeline, exemplar: ExemplarSource, rules: RequestRules) -> None:
        self._class = handler_class
        self._pipeline = pipeline
        self._exemplar = exemplar
        self.rules = rules
        self._route = _route_of_file(handler_class)

    def put_in(self) -> None:
        handler_class, send_response_only = self._class, self._class.send_response_only
        init_subclass = getattr(handler_class.__init_subclass__, "__func__", None)

        @wraps(send_response_only)
        def noting_the_status(handler: Any, code: int, message: str | None = None) -> None:
            record = getattr(handler, _RECORD, None)
            if record is not None and (code >= _FINAL_STATUS or code == _SWITCHING_PROTOCOLS):
                record.begin_response(int(code))
            send_response_only(handler, code, message)

        def measuring_subclass(subclass: Any, /, **kwargs: Any) -> None:
            if init_subclass is not None:
                init_subclass(subclass, **kwargs)
            self.measure_methods(subclass, vars(subclass))

        if self.rules.need_response_headers:
            from .handler_request import note_headers

            note_headers(handler_class, _RECORD)
        vars(measuring_subclass)["__wrapped__"] = init_subclass
        setattr(handler_class, _MEASURED, self)
        handler_class.send_response_only = noting_the_status
        # Outside of a `do_*` method it answers requests that are malformed, or of a method that the class lacks.
        handler_class.send_error = self._measured(handler_class.send_error)
        handler_class.__init_subclass__ = classmethod(measuring_subclass)
        self.measure_methods(handler_class, dir(handler_class))

    def measure_methods(self, handler_class: Any, names: Any) -> None:
        for name in list(names):
            if name.startswith("do_") and callable(getattr(handler_class, name)):
                setattr(handler_class, name, self._measured(getattr(handler_class, name)))

    def _measured(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def measured_method(handler: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(handler, _RECORD, None) is not None:
                return method(handler, *args, **kwargs)  # called by another method of the same request
            return self._serve(handler, lambda: method(handler, *args, **kwargs))

        return measured_method

    def _serve(self, handler: Any, method: Callable[[], Any]) -> Any:
        facts = RequestFacts()
        verb, path = getattr(handler, "command", None) or UNKNOWN, getattr(handler, "path", "")
        record = self.rules.record(verb, facts, lambda: facts.route or self._route)
        served = Call((verb, path.partition("?")[0]), exemplar_of(self._exemplar, _scope_of(handler, verb, path)))
        streams = None
        if not self.rules.are_plain:
            from .handler_request import begin_handler

            streams = begin_handler(record, handler, verb, path)
        setattr(handler, _RECORD, record)
        vars(handler)[REQUEST_KEY] = facts
        self._pipeline.thread_ticker.begin()
        try:
            with served:
                result = method()
            handler.wfile.flush()
        except BaseException as err:
            record.client_left = _is_of_the_connection(err, handler)
            record.end(err)
            raise
        finally:
            record.end()
            if streams is not None:
                handler.rfile, handler.wfile = streams
            setattr(handler, _RECORD, None)
            self._pipeline.thread_ticker.end()  # asked again: a forked child has another one
            served.is_over = True
            connection = getattr(handler, "connection", None)  # a test of a method may have none, or a stand-in
            if isinstance(connection, socket.socket) and handler.close_connection:
                with suppress(OSError):  # the client has gone
                    handler.wfile.flush()  # it may have a buffer, and the app may have raised
                end_sending(connection)
            if served.is_outermost:
                self._pipeline.flusher.after_call()
        return result


def _route_of_file(handler_class: type) -> str:
    """Return the path of the function that the class's file is: `/api/hello` for `api/hello.py`."""
    file = getattr(sys.modules.get(handler_class.__module__), "__file__", None) or ""
    path = os.path.relpath(file).replace(os.sep, "/") if file else ""
    if not path.startswith("api/"):
        return UNMATCHED
    name = path.removesuffix(".py").removesuffix("/index")
    return "/" + name.replace("[", "{").replace("]", "}")


def _scope_of(handler: Any, method: str, path: str) -> dict[str, Any]:
    """Return what an exemplar source needs of a request, as in an ASGI scope."""
    headers = getattr(handler, "headers", None)
    pairs = [] if headers is None else headers.items()
    return {
        "type": "http",
        "method": method,
        "path": path.partition("?")[0],
        "headers": [(name.lower().encode("latin-1"), str(value).encode("latin-1", "replace")) for name, value in pairs],
    }


def _is_of_the_connection(err: BaseException, handler: Any) -> bool:
    """Return whether the exception comes from writing to the client, and not from another connection of the app's."""
    last = err.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    writer = None if last is None else last.tb_frame.f_locals.get("self")
    stream = getattr(handler.wfile, "stream", handler.wfile)  # bytes may be counted
    # With a buffer, `raw` writes to the socket, and a socket of TLS is written in Python.
    own = stream, getattr(stream, "raw", None), getattr(handler, "connection", None)
    return isinstance(err, OSError) and writer is not None and any(writer is one for one in own)
