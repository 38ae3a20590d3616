"""What the scraper accepts: format by `Accept`, gzip by `Accept-Encoding` (RFC 9110, section 12.5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module

from .escaping import SCHEMES, UNDERSCORES
from .family import Extras
from .fitting import fitted
from .page import Page

__all__ = ["PLAIN", "Format", "choose_format", "header_ranges", "protobuf_flaw"]

_NUMBERS_ALONE = Extras()


@dataclass(frozen=True, slots=True)
class Format:
    """One way to print a page.

    Args:
        media_type: the type that `Accept` names.
        parameters: parameters of the type. If `Accept` names one of them, it must have this value.
        module: the renderer, imported when it is used.
        content_type: of the response, without the escaping.
        escaping: the scheme for names beyond the classic letters; None if the format has only classic letters.
        extras: what the format prints beyond the numbers.
    """

    media_type: str
    parameters: tuple[tuple[str, str], ...]
    module: str
    content_type: str
    escaping: str | None = None
    extras: Extras = _NUMBERS_ALONE

    @property
    def content_type_header(self) -> str:
        """The response's `Content-Type`."""
        return f"{self.content_type}; escaping={self.escaping}" if self.escaping else self.content_type

    def render(self, page: Page) -> Iterator[bytes]:
        """Print a page in pieces, one family after the other."""
        families = fitted(page, self.printed_extras).families
        pieces: Iterator[bytes] = import_module(f".{self.module}", __package__).render(families)
        return pieces

    @property
    def printed_extras(self) -> Extras:
        """The extras, with the scheme by which this format prints names."""
        return replace(self.extras, escaping=self.escaping or UNDERSCORES)


PLAIN = Format("text/plain", (("version", "0.0.4"),), "text", "text/plain; version=0.0.4; charset=utf-8")
# In the order of preference, for a scraper that has none.
_FORMATS = (
    PLAIN,
    Format(
        "application/openmetrics-text",
        (("version", "1.0.0"),),
        "openmetrics",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        extras=Extras(exemplars=True, strict=True),
    ),
    Format("text/plain", (("version", "1.0.0"),), "text", "text/plain; version=1.0.0; charset=utf-8"),
    Format(
        "application/vnd.google.protobuf",
        (("proto", "io.prometheus.client.MetricFamily"), ("encoding", "delimited")),
        "protobuf",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
        extras=Extras(exemplars=True, created=True, native=True),
    ),
)


def choose_format(accept: str) -> Format:
    """Return the format that the scraper prefers; text 0.0.4 if it accepts none of ours.

    Example:
        >>> choose_format("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").module
        'openmetrics'
        >>> choose_format("text/plain;version=1.0.0;escaping=allow-utf-8").content_type_header
        'text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8'
    """
    ranges = header_ranges(accept)
    best, chosen, escaping = (0.0, 0), PLAIN, ""
    for form in _FORMATS:
        weight, specific, asked_escaping = _score(ranges, form)
        if weight > 0 and (weight, specific) > best and _can_be_written(form):
            best, chosen, escaping = (weight, specific), form, asked_escaping
    if chosen is not PLAIN and escaping:
        chosen = replace(chosen, escaping=escaping if escaping in SCHEMES else UNDERSCORES)
    return chosen


HeaderRange = tuple[str, dict[str, str], float]


def _score(ranges: list[HeaderRange], form: Format) -> tuple[float, int, str]:
    """Return weight, specificity and escaping of the most specific range that matches the format."""
    kind = form.media_type.partition("/")[0]
    found = (0, 0.0, "")
    for name, parameters, weight in ranges:
        specific = {form.media_type: 3, f"{kind}/*": 2, "*/*": 1}.get(name, 0)
        if specific and all(parameters.get(key, value) == value for key, value in form.parameters):
            found = max(found, (specific, weight, parameters.get("escaping", "")))
    return found[1], found[0], found[2]


def _can_be_written(form: Format) -> bool:
    """Tell whether the package that the format needs is installed, in a version that works."""
    return form.module != "protobuf" or not protobuf_flaw()


@lru_cache(maxsize=1)
def protobuf_flaw() -> str:
    """Return what is wrong with the package protobuf, which pushes need, too; empty if nothing is.

    It is logged once.
    """
    try:
        for module in ("protobuf", "remote_write"):
            import_module(f".{module}", __package__)
    except Exception as err:  # noqa: BLE001  what a wrong version raises differs from version to version
        reason = str(err).partition("\n")[0] or type(err).__name__
        flaw = f"the package protobuf can't be used: {reason}; install version 4.25 to 7"
        logging.getLogger("kairo_metrics").warning("%s. Pages come in another format, and nothing is pushed", flaw)
        return flaw
    return ""


def header_ranges(header: str) -> list[HeaderRange]:
    """Split a header into (name, parameters, weight). Malformed parts are left out."""
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
