"""The bearer check of the metrics endpoint (RFC 6750, section 2.1)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256

__all__ = ["BearerAuth", "is_bearer"]

_SCHEME = b"bearer"


def is_bearer(headers: Sequence[bytes]) -> bool:
    """Tell whether the request's `Authorization` headers are one, with a bearer token that may be right or wrong."""
    scheme, _, credentials = headers[0].partition(b" ") if len(headers) == 1 else (b"", b"", b"")
    return scheme.lower() == _SCHEME and bool(credentials.strip(b" "))


class BearerAuth:
    """Accepts any of a few tokens; two are in use while one replaces the other.

    Args:
        tokens: what is accepted.

    Example:
        >>> auth = BearerAuth(["old", "new"])
        >>> auth.accepts([b"Bearer new"]), auth.accepts([b"Basic bmV3"]), auth.accepts([])
        (True, False, False)
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [sha256(token.encode(errors="surrogateescape")).digest() for token in tokens]

    @property
    def configured(self) -> bool:
        """Whether any token could be right."""
        return bool(self._digests)

    def accepts(self, headers: Sequence[bytes]) -> bool:
        """Check the request's `Authorization` headers; more than one is malformed.

        Digests are compared, each with each, in constant time: neither a token's length nor its beginning
        can be felt from outside.
        """
        scheme, _, credentials = headers[0].partition(b" ") if len(headers) == 1 else (b"", b"", b"")
        given = sha256(credentials.strip(b" ")).digest()
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        return scheme.lower() == _SCHEME and any(matches)
