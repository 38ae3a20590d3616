"""The values of the labels that an app has added to the metrics of its requests. Each label has few values."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..config.options import argument_count
from ..model.fork_locks import SHARING
from ..model.schema import OVERFLOW
from .exchange import MeasuredRequest, MeasuredResponse

__all__ = ["CustomLabels"]

_log = logging.getLogger("kairo_metrics")
_UNKNOWN = "__unknown__"
_LONGEST_VALUE = 200

# By the label's name: all apps of a process share the families.
_values: dict[str, set[str]] = {}
_logged: set[tuple[str, object]] = set()


class CustomLabels:
    """The further labels of an app.

    Args:
        names: of all further labels of the process; those that the app lacks are empty.
        labels: the app's: a value, or a function that returns it.
        most_values: of each label; what exceeds is `__overflow__`.
    """

    __slots__ = ("_constants", "_early", "_late", "_most_values")

    def __init__(self, names: tuple[str, ...], labels: Mapping[str, Any], most_values: int) -> None:
        self._constants = dict.fromkeys(names, "")
        self._early: dict[str, Callable[..., Any]] = {}
        self._late: dict[str, Callable[..., Any]] = {}
        self._most_values = most_values
        for name in names:
            value = labels.get(name, "")
            if not callable(value):
                self._constants[name] = value
            elif argument_count(name, value) == 1:
                self._early[name] = value
            else:
                self._late[name] = value

    def of_request(self, request: MeasuredRequest) -> dict[str, str]:
        """Return what is known when the request begins: constants, and what functions of the request return."""
        values = dict(self._constants)
        for name, function in self._early.items():
            values[name] = self._asked(name, function, request)
        return values

    def of_response(self, request: MeasuredRequest, response: MeasuredResponse) -> dict[str, str]:
        """Return what functions of the request and the response return."""
        return {name: self._asked(name, function, request, response) for name, function in self._late.items()}

    @property
    def need_response(self) -> bool:
        """Whether a function asks for the response."""
        return bool(self._late)

    def _asked(self, name: str, function: Callable[..., Any], *arguments: Any) -> str:
        try:
            text = _text(name, function(*arguments))
        except Exception as err:  # noqa: BLE001  the user's own code: the request must not fail with it
            _log_once(
                (name, type(err)), "the label %r is %r for a request: its function raised %r", name, _UNKNOWN, err
            )
            return _UNKNOWN
        return self._bounded(name, text)

    def _bounded(self, name: str, value: str) -> str:
        known = _values.setdefault(name, set())
        if value in known:
            return value
        with SHARING:
            has_room = len(value) <= _LONGEST_VALUE and (value in known or len(known) < self._most_values)
            if has_room:
                known.add(value)
        if not has_room:
            _log_once(
                (name, None),
                "the label %r has more than %d values, or one of over %d characters; these count as %s",
                name,
                self._most_values,
                _LONGEST_VALUE,
                OVERFLOW,
            )
            return OVERFLOW
        return value


def _text(name: str, value: object) -> str:
    """Return a value as text.

    Raises:
        TypeError: somebody would have to await it.
    """
    if value is None:
        return ""
    if isinstance(value, bytes):  # so are the headers in an ASGI scope
        return value.decode("utf-8", "replace")
    if hasattr(value, "__await__"):
        getattr(value, "close", lambda: None)()  # else Python warns of a coroutine that was never awaited
        raise TypeError(
            f"it returned {type(value).__name__}, which must be awaited: give one for {name!r} that is not async"
        )
    return str(value)


def _log_once(key: tuple[str, object], text: str, *arguments: object) -> None:
    if key not in _logged:
        _logged.add(key)
        _log.warning(text, *arguments)
