"""The call that is being served, as far as instruments know it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

__all__ = ["CURRENT_CALL", "ServedCall"]


class ServedCall(Protocol):
    """A request or an invocation."""

    @property
    def exemplar(self) -> Mapping[str, str] | None:
        """The exemplar labels of what is counted in it, if the caller of an instrument gives none."""


CURRENT_CALL: ContextVar[ServedCall | None] = ContextVar("kairo_metrics.call", default=None)
