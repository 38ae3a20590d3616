"""Which trace a request belongs to, as an exemplar for what is counted while it is served."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from .values.exemplars import REQUEST_EXEMPLAR

__all__ = ["ExemplarSource", "exemplified", "trace_of"]

ExemplarSource = Callable[[MutableMapping[str, Any]], Mapping[str, str] | None]

_log = logging.getLogger("kairo_metrics")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# OpenMetrics 1.0, section "Exemplars": so many characters in all names and values together.
_LONGEST = 128


def trace_of(scope: MutableMapping[str, Any]) -> Mapping[str, str] | None:
    """Return `trace_id` and `span_id` out of the request's `traceparent`, if that trace is recorded.

    Source: W3C Trace Context, section 3.2

    Example:
        >>> header = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        >>> trace_of({"headers": [header]})["span_id"]
        '00f067aa0ba902b7'
    """
    values = [value for name, value in scope.get("headers", ()) if name.lower() == b"traceparent"]
    found = _TRACEPARENT.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None or not int(found[3], 16) & _SAMPLED:
        return None
    return {"trace_id": found[1].decode(), "span_id": found[2].decode()}


@contextmanager
def exemplified(source: ExemplarSource, scope: MutableMapping[str, Any]) -> Iterator[None]:
    """Give what the block counts the exemplar of this request."""
    labels = _checked(source, scope)
    if not labels:
        yield
        return
    token = REQUEST_EXEMPLAR.set(labels)
    try:
        yield
    finally:
        REQUEST_EXEMPLAR.reset(token)


def _checked(source: ExemplarSource, scope: MutableMapping[str, Any]) -> Mapping[str, str] | None:
    """Ask the source; a request must not fail with it."""
    try:
        labels = source(scope)
        if labels:
            _require_valid(labels)
    except Exception as err:  # noqa: BLE001  the user's own code
        _log.warning("a request has no exemplar: %r", err)
        return None
    return labels


def _require_valid(labels: Mapping[str, str]) -> None:
    if sum(len(name) + len(value) for name, value in labels.items()) > _LONGEST:
        raise ValueError(f"the labels of an exemplar may have {_LONGEST} characters together: {labels}")
    if not all(map(_LABEL_NAME.fullmatch, labels)):
        raise ValueError(f"not label names: {sorted(labels)}")
