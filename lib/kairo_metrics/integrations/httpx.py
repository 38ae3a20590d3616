"""httpx, and httpx2 with the same classes: the requests of their clients, as they go to the transport.

`_send_single_request` is the one method through which each request goes, with its transport, also behind a proxy, and
that sees its exceptions. Event hooks do not see those, and a transport around the client's would hide the class of the
one that the program has given.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from ..instruments.outbound_instruments import OutboundInstruments
from .outbound import OutboundRequest, sending
from .replaced_methods import replace_method
from .switch import while_on

if TYPE_CHECKING:
    import httpx

__all__ = ["observe"]

_log = logging.getLogger("kairo_metrics")
_SEND = "_send_single_request"
# The request that is measured: a client may be observed as itself, and by its class as well.
_MEASURED: ContextVar[httpx.Request | None] = ContextVar("kairo_metrics.httpx_request", default=None)


def observe(client: httpx.Client | httpx.AsyncClient | type[httpx.Client | httpx.AsyncClient]) -> None:
    """Observe the requests of a client; a class stands for all its clients.

    Raises:
        TypeError: it is no client of httpx.
    """
    kind = client if isinstance(client, type) else type(client)
    library = _library_of(kind)
    if library is None or not issubclass(kind, library.Client | library.AsyncClient):
        raise TypeError(f"observe takes a Client or an AsyncClient of httpx, not {kind.__name__}")
    while_on(OutboundInstruments, client, _start)


def _start(client: Any) -> None:
    kind = client if isinstance(client, type) else type(client)
    library = _library_of(kind)
    if not hasattr(kind, _SEND):
        _log.warning("%s %s is not known: its requests are not observed", library.__name__, library.__version__)
    replace_method(client, _SEND, _send_async if issubclass(kind, library.AsyncClient) else _send)


def _library_of(kind: type) -> Any:
    """Return the library of a client's class, which is loaded; None if it is of no such library."""
    packages = (base.__module__.partition(".")[0] for base in kind.__mro__)
    return next((sys.modules[name] for name in packages if name in {"httpx", "httpx2"}), None)


def _send(send: Callable[..., httpx.Response], client: httpx.Client, request: httpx.Request) -> httpx.Response:
    exchange = _exchange(request)
    if exchange is None:
        return send(client, request)
    token = _MEASURED.set(request)
    try:
        response = send(client, request)
    except BaseException as err:
        exchange.fail(err)
        raise
    finally:
        _MEASURED.reset(token)
    exchange.answer(response.status_code)
    response.stream = _bodies(_library_of(type(client)))[0](response.stream, exchange)
    return response


async def _send_async(
    send: Callable[..., Awaitable[httpx.Response]], client: httpx.AsyncClient, request: httpx.Request
) -> httpx.Response:
    exchange = _exchange(request)
    if exchange is None:
        return await send(client, request)
    token = _MEASURED.set(request)
    try:
        response = await send(client, request)
    except BaseException as err:  # also a task that is cancelled, as by a time limit
        exchange.fail(err)
        raise
    finally:
        _MEASURED.reset(token)
    exchange.answer(response.status_code)
    response.stream = _bodies(_library_of(type(client)))[1](response.stream, exchange)
    return response


def _exchange(request: httpx.Request) -> OutboundRequest | None:
    if _MEASURED.get() is request:
        return None
    return sending(request.url.raw_host.decode("ascii", "replace"), request.method)


@cache
def _bodies(library: Any) -> tuple[type[Any], type[Any]]:
    """Return the classes below as those of this library, which checks the class of a body."""
    sync_body = type("Body", (_Body, library.SyncByteStream), {})
    return sync_body, type("AsyncBody", (_AsyncBody, library.AsyncByteStream), {})


class _Body:
    """The body of an answer. It is no generator, so that nothing is left open where a reader stops early."""

    def __init__(self, stream: Any, exchange: OutboundRequest) -> None:
        self._stream = stream
        self._exchange = exchange
        self._chunks: Any = None

    def __iter__(self) -> Iterator[bytes]:
        self._chunks = iter(self._stream)
        return self

    def __next__(self) -> bytes:
        try:
            chunk: bytes = next(self._chunks)
        except StopIteration:
            raise
        except BaseException as err:
            self._exchange.lose_body(err)
            raise
        return chunk

    def close(self) -> None:
        self._stream.close()


class _AsyncBody:
    """The same for an asynchronous client."""

    def __init__(self, stream: Any, exchange: OutboundRequest) -> None:
        self._stream = stream
        self._exchange = exchange
        self._chunks: Any = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._chunks = aiter(self._stream)
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except BaseException as err:
            self._exchange.lose_body(err)
            raise
        return chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
