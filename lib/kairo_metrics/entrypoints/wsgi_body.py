"""The body of a WSGI response, which tells when it was sent and when the server closes it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

__all__ = ["measured_body"]


class _Call(AbstractContextManager[object], Protocol):
    is_over: bool


class _Response(Protocol):
    @property
    def served(self) -> _Call: ...
    def pass_on(self, chunk: bytes) -> bytes: ...
    def end(self) -> None: ...
    def fail(self, error: BaseException) -> None: ...
    def finish(self) -> None: ...
    def drop(self) -> None: ...


def measured_body(body: Iterable[bytes], response: _Response, file_wrapper: Any) -> Iterable[bytes]:
    """Return a body that tells the response what becomes of it.

    Args:
        body: the app's.
        response: is told.
        file_wrapper: the server's `wsgi.file_wrapper`, if it has one. The server sends such a body by a system call, so
            it must get the object itself.
    """
    if isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
        close = _Body(body, response).close
        try:
            body.close = close  # type: ignore[attr-defined]
        except AttributeError:  # a class that is written in C
            pass
        else:
            return body
    return _Body(body, response)


class _Body:
    __slots__ = ("_body", "_close", "_iterator", "_response")

    def __init__(self, body: Iterable[bytes], response: _Response) -> None:
        self._body = body
        self._close = getattr(body, "close", None)
        self._iterator: Iterator[bytes] | None = None
        self._response = response

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        try:
            with self._response.served:
                if self._iterator is None:
                    self._iterator = iter(self._body)
                chunk = next(self._iterator)
        except StopIteration:
            self._response.end()
            raise
        except BaseException as err:
            self._response.fail(err)
            raise
        return self._response.pass_on(chunk)

    def __del__(self) -> None:
        if not (self._response.served.is_over or sys.is_finalizing()):
            self._response.drop()  # test clients, and some adapters to ASGI, do not close

    def close(self) -> None:
        try:
            if self._close is not None:
                with self._response.served:
                    self._close()
        except BaseException as err:
            self._response.fail(err)
            raise
        finally:
            self._response.finish()
