"""What keeps the dev server from running."""

from __future__ import annotations

from ..errors import KairoError

__all__ = ["DevError"]


class DevError(KairoError):
    """The dev server can't start or go on; the sentence says what to do about it."""
