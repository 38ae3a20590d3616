"""The trace of a request, as the exemplar of what is counted while the request is served."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

__all__ = ["ExemplarSource", "exemplar_of", "trace_of"]

ExemplarSource = Callable[[MutableMapping[str, Any]], Mapping[str, str] | None]

_log = logging.getLogger("kairo_metrics")
_HEXADECIMAL = frozenset("0123456789abcdef")
_INVALID_VERSION = "ff"
_SAMPLED = 1
# OpenMetrics 1.0, section "Exemplars": the most characters in all names and values together.
_MAX_CHARACTERS = 128

_logged: set[type[Exception]] = set()


def trace_of(scope: MutableMapping[str, Any]) -> Mapping[str, str] | None:
    """Return `trace_id` and `span_id` from the request's `traceparent`; None if there is none, or if it is not sampled.

    Args:
        scope: the request's ASGI scope, or its WSGI environ.

    Source: W3C Trace Context, section 3.2

    Example:
        >>> header = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        >>> trace_of({"headers": [header]})["span_id"]
        '00f067aa0ba902b7'
    """
    if "headers" in scope:
        values = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"traceparent"]
    else:
        values = [scope["HTTP_TRACEPARENT"]] if "HTTP_TRACEPARENT" in scope else []
    if len(values) != 1:
        return None
    parts = values[0].strip().split("-", 4)[:4]
    if [len(part) for part in parts] != [2, 32, 16, 2] or not _HEXADECIMAL.issuperset("".join(parts)):
        return None
    version, trace_id, span_id, flags = parts
    if version == _INVALID_VERSION or not (int(trace_id, 16) and int(span_id, 16) and int(flags, 16) & _SAMPLED):
        return None
    return {"trace_id": trace_id, "span_id": span_id}


def exemplar_of(source: ExemplarSource, scope: MutableMapping[str, Any]) -> Mapping[str, str] | None:
    """Return the source's labels; None if it fails or they are not valid: the request must not fail with it."""
    try:
        labels = source(scope)
        if labels:
            _require_valid(labels)
    except Exception as err:  # noqa: BLE001  the user's own code
        if type(err) not in _logged:  # once for each class: a client could fill the log with bad headers
            _logged.add(type(err))
            _log.warning("a request has no exemplar: %r", err)
        return None
    return labels


def _require_valid(labels: Mapping[str, str]) -> None:
    if sum(len(name) + len(value) for name, value in labels.items()) > _MAX_CHARACTERS:
        raise ValueError(f"the labels of an exemplar may have {_MAX_CHARACTERS} characters together: {labels}")
    from ..model.encoding import is_classic_label  # few apps choose their exemplars

    if not all(map(is_classic_label, labels)):
        raise ValueError(f"not label names: {sorted(labels)}")
