"""requests: what its sessions send, as it goes to the adapter.

`Session.get_adapter` is asked for the adapter of each request, also of a redirect, and is public. The adapter sees the
exceptions, and stays the object that the program has mounted. Its retries are inside it, and are one request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests

from ..instruments.outbound_instruments import OutboundInstruments
from .outbound import OutboundRequest, sending
from .replaced_methods import replace_method
from .switch import while_on

__all__ = ["observe"]

# In a response: the request that it answers. It is no part of a response that is pickled.
_EXCHANGE = "_kairo_metrics_request"


def observe(session: requests.Session | type[requests.Session]) -> None:
    """Observe the requests of a session; a class stands for all its sessions, also those of `requests.get`.

    Raises:
        TypeError: it is no session of requests.
    """
    kind = session if isinstance(session, type) else type(session)
    if not issubclass(kind, requests.Session):
        raise TypeError(f"observe takes a Session of requests, not {kind.__name__}")
    while_on(OutboundInstruments, session, _start)


def _start(session: Any) -> None:
    replace_method(session, "get_adapter", _get_adapter)
    # In the class: `session.get(...).iter_content()` calls a method of a response that nobody else holds.
    replace_method(requests.Response, "iter_content", _iter_content)


def _get_adapter(get_adapter: Callable[..., Any], session: requests.Session, *arguments: Any, **named: Any) -> Any:
    adapter = get_adapter(session, *arguments, **named)
    replace_method(adapter, "send", _send)
    return adapter


def _send(send: Callable[..., Any], adapter: Any, request: requests.PreparedRequest, *given: Any, **named: Any) -> Any:
    exchange = sending(_host_of(request), request.method)
    if exchange is None:
        return send(adapter, request, *given, **named)
    try:
        response = send(adapter, request, *given, **named)
    except BaseException as err:
        exchange.fail(err)
        raise
    exchange.answer(response.status_code)
    with suppress(AttributeError):  # what an adapter of the program's own has made may take no attributes
        setattr(response, _EXCHANGE, exchange)
    return response


def _iter_content(read: Callable[..., Any], response: requests.Response, *size: Any, **named: Any) -> Iterator[Any]:
    # Every way to the body leads through this method, but `response.raw`, which belongs to urllib3.
    chunks: Iterator[Any] = read(response, *size, **named)
    exchange = getattr(response, _EXCHANGE, None)
    return chunks if exchange is None else _watched(chunks, exchange)


def _watched(chunks: Iterator[Any], exchange: OutboundRequest) -> Iterator[Any]:
    try:
        yield from chunks
    except GeneratorExit:  # the reader has stopped
        raise
    except BaseException as err:
        exchange.lose_body(err)
        raise


def _host_of(request: requests.PreparedRequest) -> str | None:
    try:
        return urlsplit(request.url or "").hostname
    except ValueError:  # an adapter of the program's own may take anything for an address
        return None
