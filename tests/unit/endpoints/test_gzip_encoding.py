"""gzip as scrapers ask for it."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.endpoints.gzip_encoding import accepts_gzip


@pytest.mark.parametrize(
    ("header", "welcome"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("", False),
        ("x-gzipped", False),
    ],
)
def test_gzip_only_when_it_is_welcome(header: str, welcome: bool) -> None:
    """A client that refuses gzip is not sent any."""
    assert accepts_gzip(header) is welcome
