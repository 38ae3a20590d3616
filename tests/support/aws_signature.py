"""Signature Version 4, computed from AWS' description alone: no code of AWS' SDK has a part in it.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

__all__ = ["scope_of", "signature", "signature_of"]

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>\S+), SignedHeaders=(?P<signed>\S+), Signature=(?P<made>\S+)"
)


def scope_of(headers: Mapping[str, str]) -> tuple[str, str, list[str]]:
    """Return the access key, the scope and the signed headers that a request names."""
    named = _AUTHORIZATION.fullmatch(_lower(headers)["authorization"])
    assert named is not None
    return named["key"], named["scope"], named["signed"].split(";")


def signature_of(headers: Mapping[str, str]) -> str:
    """Return the signature that a request has."""
    return _lower(headers)["authorization"].rpartition("Signature=")[2]


def signature(  # noqa: PLR0913, PLR0917  a signature is of that many parts
    method: str, url: str, headers: Mapping[str, str], body: bytes, secret: str, scope: str, signed: list[str]
) -> str:
    """Return the signature that a request must have.

    Args:
        method: of the request.
        url: of the request.
        headers: all that were received.
        body: as it was received.
        secret: the secret key.
        scope: `<date>/<region>/<service>/aws4_request`.
        signed: the names of the headers that are signed.
    """
    parts, given = urlsplit(url), _lower(headers)
    query = sorted(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
    canonical = "\n".join(
        [
            method,
            quote(unquote(parts.path) or "/", safe="/-_.~"),
            "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in query),
            *[f"{name}:{' '.join(given[name].split())}" for name in sorted(signed)],
            "",
            ";".join(sorted(signed)),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", given["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-_.~")
