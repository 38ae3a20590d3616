"""What keeps the functions of a project from being served."""

from __future__ import annotations

from ..errors import KairoError

__all__ = ["HostingError"]


class HostingError(KairoError):
    """The functions can't be served; the sentence says what to do about it."""
