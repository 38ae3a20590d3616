"""A request and its response as the functions of `labels` see them, whichever interface they came through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["Headers", "MeasuredRequest", "MeasuredResponse"]


class Headers(Mapping[str, str]):
    """The headers of a request or a response; their names have no case.

    Args:
        pairs: names and values, as bytes or text; values of the same name are joined by a comma.

    Example:
        >>> Headers([(b"X-Tenant", b"acme")])["x-tenant"]
        'acme'
    """

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        self._pairs = pairs
        self._values: dict[str, str] | None = None

    def _by_name(self) -> dict[str, str]:
        if self._values is None:  # many functions never ask
            self._values = {}
            for given_name, given_value in self._pairs:
                name, value = _text(given_name).lower(), _text(given_value)
                self._values[name] = f"{self._values[name]}, {value}" if name in self._values else value
        return self._values

    def __getitem__(self, name: str) -> str:
        return self._by_name()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name())

    def __len__(self) -> int:
        return len(self._by_name())


class MeasuredRequest:
    """A request.

    Args:
        method: such as "GET".
        path: decoded, and without the query.
        headers: names and values.
        scope: the ASGI scope, the WSGI environ or the `http.server` handler, for what is not here.

    Attributes:
        route: the template of its route; known when the response has ended.
    """

    __slots__ = ("headers", "method", "path", "route", "scope")

    def __init__(self, method: str, path: str, headers: Iterable[tuple[Any, Any]], scope: Any) -> None:
        self.method = method
        self.path = path
        self.headers = Headers(headers)
        self.scope = scope
        self.route: str | None = None


class MeasuredResponse:
    """A response.

    Args:
        status_code: as it is counted: 500 for an exception, 499 for a client that has left.
        headers: names and values; none if the app has not answered.
    """

    __slots__ = ("headers", "status_code")

    def __init__(self, status_code: int, headers: Iterable[tuple[Any, Any]]) -> None:
        self.status_code = status_code
        self.headers = Headers(headers)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
