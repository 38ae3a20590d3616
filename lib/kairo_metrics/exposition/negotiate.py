"""What the scraper asks for: format by `Accept`, gzip by `Accept-Encoding` (RFC 9110, section 12.5)."""

from __future__ import annotations

from types import ModuleType

from . import openmetrics, text

__all__ = ["accepts_gzip", "choose_format"]

# (media type, the version it must name if it names one), the default first
_FORMATS = (
    (text, "text/plain", "0.0.4"),
    (openmetrics, "application/openmetrics-text", "1.0.0"),
)


def choose_format(accept: str) -> ModuleType:
    """Return the format that the scraper likes best; text 0.0.4 when it says nothing usable.

    Example:
        >>> choose_format("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").__name__[-11:]
        'openmetrics'
    """
    best, chosen = (0.0, 0), text
    for module, media_type, version in _FORMATS:
        score = _score(accept, media_type, version)
        if score[0] > 0 and score > best:
            best, chosen = score, module
    return chosen


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether a gzip body is welcome."""
    weights = {coding: weight for coding, _, weight in _ranges(accept_encoding)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _score(accept: str, media_type: str, version: str) -> tuple[float, int]:
    """Return the weight of the most specific range that means the format, and how specific it is."""
    kind = media_type.partition("/")[0]
    found = (0, 0.0)
    for name, parameters, weight in _ranges(accept):
        specific = {media_type: 3, f"{kind}/*": 2, "*/*": 1}.get(name, 0)
        if parameters.get("version", version) == version and specific:
            found = max(found, (specific, weight))
    return found[1], found[0]


def _ranges(header: str) -> list[tuple[str, dict[str, str], float]]:
    """Split a header into (name, parameters, weight), leaving out what is malformed."""
    ranges = []
    for part in header.split(","):
        name, *pairs = (piece.strip() for piece in part.split(";"))
        parameters = {
            key.strip().lower(): value.strip().strip('"') for key, _, value in (p.partition("=") for p in pairs)
        }
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            continue
        if name and 0 <= weight <= 1:
            ranges.append((name.lower(), parameters, weight))
    return ranges
