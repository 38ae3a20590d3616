"""What a preset shows of a request beside what our own metrics show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..frameworks.facts import UNMATCHED
from ..instruments.presets import Preset
from .body_sizes import content_length_of
from .exchange import MeasuredRequest

__all__ = ["add_preset_facts"]

_NONE: Mapping[str, str] = {}


def add_preset_facts(
    facts: dict[str, str],
    preset: Preset,
    request: MeasuredRequest,
    response_headers: Iterable[tuple[Any, Any]],
    told: Mapping[str, str] | None,
) -> None:
    """Add the facts of a request that only presets need.

    Args:
        facts: those that are known.
        preset: the names.
        request: the request.
        response_headers: those of its response; none if the app has not answered.
        told: what the framework has told.
    """
    told = told or _NONE
    facts.update((f"@{name}", value) for name, value in told.items())
    facts["@request_length"] = str(content_length_of(request.headers.items()) or 0)
    # The answer to an unhandled exception comes from outside of the middleware of these libraries.
    facts["@response_length"] = str(0 if "unhandled" in told else content_length_of(response_headers) or 0)
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        facts["@ajax"] = ""
    if facts["route"] == UNMATCHED:
        facts["route"] = preset.unmatched
