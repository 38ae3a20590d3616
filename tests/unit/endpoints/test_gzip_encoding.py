"""gzip as scrapers ask for it."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.endpoints.gzip_encoding import accepts_gzip


@pytest.mark.parametrize(
    ("header", "accepted"),
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
def test_gzip_goes_to_scrapers_that_accept_it(header: str, accepted: bool) -> None:
    """A scraper gets a gzip body only if its header accepts one."""
    assert accepts_gzip(header) is accepted
