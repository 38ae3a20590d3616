"""The receiver of OTLP and the headers for it, from the variables that all programs with OpenTelemetry share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from ..errors import SettingsError
from .environment import Environment
from .receiver_url import check_receiver_url

__all__ = ["check_headers", "otlp_headers", "otlp_url"]

# A name of a header (RFC 9110, section 5.6.2), and what its value may hold.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[ -~]*")


def otlp_url(env: Environment) -> str | None:
    """Return the address of the receiver: the one for metrics as it is, or the common one with `/v1/metrics` behind it.

    Raises:
        SettingsError: it is malformed.

    Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/, "Endpoint URLs for OTLP/HTTP"
    """
    for variable, path in (("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", ""), ("OTEL_EXPORTER_OTLP_ENDPOINT", "/v1/metrics")):
        if url := env.text(variable):
            check_receiver_url(variable, url, "OTEL_EXPORTER_OTLP_HEADERS")
            return f"{url.rstrip('/')}{path}" if path else url
    return None


def otlp_headers(env: Environment) -> dict[str, str]:
    """Return the headers of every request: those for metrics if they are set, or the common ones.

    They are written as `name=value`, separated by commas; the values are percent-encoded.

    Raises:
        SettingsError: a part is not a header; the error repeats nothing of it.

    Example:
        >>> otlp_headers(Environment({"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20MTIz,x-scope-orgid=7"}))
        {'Authorization': 'Basic MTIz', 'x-scope-orgid': '7'}
    """
    variables = "OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"
    variable = next(filter(env.text, variables), variables[-1])
    headers = {}
    for part in filter(None, map(str.strip, env.text(variable).split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            raise SettingsError(variable, "must be headers such as Authorization=Basic%20MTIz, separated by commas")
        headers[name.strip()] = unquote(value.strip())
    check_headers(variable, headers)
    return headers


def check_headers(variable: str, headers: Mapping[str, str]) -> None:
    """Refuse what a request can't carry.

    Raises:
        SettingsError: a name or a value has a character that a header may not have; the error repeats nothing of it.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise SettingsError(variable, "has a header with a character that no header may have: paste it again")
