"""gzip of the response, if the scraper accepts it in `Accept-Encoding` (RFC 9110, section 12.5.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from ..exposition.negotiate import header_ranges

__all__ = ["accepts_gzip", "gzipped"]

_LEVEL = 1  # a scrape's time counts for more than the last tenth of its size
_GZIP_WINDOW = zlib.MAX_WBITS | 16


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether the scraper accepts a gzip body.

    Example:
        >>> accepts_gzip("gzip, deflate"), accepts_gzip("gzip;q=0"), accepts_gzip("")
        (True, False, False)
    """
    weights = {coding: weight for coding, _, weight in header_ranges(accept_encoding)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compress a body piece by piece."""
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_WINDOW)
    for piece in pieces:
        if compressed := compressor.compress(piece):
            yield compressed
    yield compressor.flush()
