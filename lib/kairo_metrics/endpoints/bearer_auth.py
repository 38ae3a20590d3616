"""The bearer check of the metrics endpoint (RFC 6750, section 2.1)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256

__all__ = ["BearerAuth", "is_bearer"]

_SCHEME = b"bearer"


def is_bearer(headers: Sequence[bytes]) -> bool:
    """Tell whether there is exactly one `Authorization` header, with a bearer token, right or wrong."""
    scheme, _, credentials = headers[0].partition(b" ") if len(headers) == 1 else (b"", b"", b"")
    return scheme.lower() == _SCHEME and bool(credentials.strip(b" "))


class BearerAuth:
    """Accepts any of a few tokens: during a rotation there are two.

    Args:
        tokens: the accepted tokens.

    Example:
        >>> auth = BearerAuth(["old", "new"])
        >>> auth.accepts([b"Bearer new"]), auth.accepts([b"Basic bmV3"]), auth.accepts([])
        (True, False, False)
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [sha256(token.encode(errors="surrogateescape")).digest() for token in tokens]

    @property
    def configured(self) -> bool:
        """Whether there is an accepted token."""
        return bool(self._digests)

    def accepts(self, headers: Sequence[bytes]) -> bool:
        """Check the request's `Authorization` headers. Only one is allowed.

        Digests are compared in constant time with every accepted token, so that the time of an answer shows neither the
        length nor the beginning of a token.
        """
        scheme, _, credentials = headers[0].partition(b" ") if len(headers) == 1 else (b"", b"", b"")
        given = sha256(credentials.strip(b" ")).digest()
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        return scheme.lower() == _SCHEME and any(matches)
