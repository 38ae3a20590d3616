"""The exemplar of what is counted while a request is served."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

__all__ = ["REQUEST_EXEMPLAR"]

# Its labels, if the caller of an instrument gives none.
REQUEST_EXEMPLAR: ContextVar[Mapping[str, str] | None] = ContextVar("kairo_request_exemplar", default=None)
