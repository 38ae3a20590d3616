"""What becomes known of a request while it is served."""

from __future__ import annotations

__all__ = ["REQUEST_KEY", "RequestFacts"]

REQUEST_KEY = "kairo_metrics.request"


class RequestFacts:
    """shim"""

    __slots__ = ("error", "route")

    def __init__(self) -> None:
        self.route: str | None = None
        self.error: BaseException | None = None
