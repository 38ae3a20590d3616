"""Which format and encoding a scraper gets."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.exposition import openmetrics, text
from lib.kairo_metrics.exposition.negotiate import accepts_gzip, choose_format

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize("accept", [PROMETHEUS_2_42, PROMETHEUS_3, "application/openmetrics-text", "application/*"])
def test_a_scraper_that_prefers_openmetrics_gets_it(accept: str) -> None:
    """Prometheus of any age gets the format that it asks for first."""
    assert choose_format(accept) is openmetrics


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/html,*/*;q=0.8",
        "nonsense;;,=q",
        "image/png",
        "text/plain;version=0.0.4",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0.4,text/plain;q=0.5",
        "application/openmetrics-text;q=x, text/plain",
        "text/plain;version=1.0.0",
    ],
)
def test_everybody_else_gets_plain_text(accept: str) -> None:
    """A browser, curl, and whoever says nothing sensible get the format that all can read."""
    assert choose_format(accept) is text


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
