"""What a preset shows of a request beside what our own metrics show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .body_sizes import content_length_of
from .exchange import MeasuredRequest

__all__ = ["preset_facts"]


def preset_facts(
    request: MeasuredRequest, response_headers: Iterable[tuple[Any, Any]], told: dict[str, str] | None
) -> dict[str, str]:
    """Return the facts of a request that only presets need.

    Args:
        request: the request.
        response_headers: those of its response; none if the app has not answered.
        told: what the framework has told.
    """
    told = told or {}
    # The answer to an unhandled exception comes from outside of the middleware of these libraries.
    response_length = 0 if "unhandled" in told else content_length_of(response_headers) or 0
    facts = {
        "request_length": str(content_length_of(request.headers.items()) or 0),
        "response_length": str(response_length),
        **told,
    }
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        facts["ajax"] = ""
    return facts
