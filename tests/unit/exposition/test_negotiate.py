"""Which format and encoding a scraper gets."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.exposition.negotiate import PLAIN, choose_format

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
    assert choose_format(accept).module == "openmetrics"


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
    ],
)
def test_everybody_else_gets_plain_text(accept: str) -> None:
    """A browser, curl and a client with a meaningless `Accept` get text 0.0.4."""
    assert choose_format(accept) is PLAIN


PROMETHEUS_2_42_NATIVE = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8"
PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PROMETHEUS_2_42, OPENMETRICS),
        (PROMETHEUS_3, f"{OPENMETRICS}; escaping=allow-utf-8"),
        (PROMETHEUS_2_42_NATIVE, PROTOBUF),
        ("application/openmetrics-text;version=1.0.0;escaping=dots", f"{OPENMETRICS}; escaping=dots"),
        ("application/openmetrics-text;version=1.0.0;escaping=runes", f"{OPENMETRICS}; escaping=underscores"),
        ("text/plain;version=1.0.0", TEXT_1),
        ("text/plain;version=1.0.0;escaping=values", f"{TEXT_1}; escaping=values"),
        ("text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.5", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=0.0.4;escaping=allow-utf-8", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/vnd.google.protobuf;proto=some.other.Message;encoding=delimited,*/*;q=0.1", PLAIN.content_type),
        ("application/vnd.google.protobuf;encoding=text,*/*;q=0.1", PLAIN.content_type),
        ("application/vnd.google.protobuf", PROTOBUF),
    ],
)
def test_the_answer_says_what_it_is(accept: str, content_type: str) -> None:
    """The content type names format, version and escaping as the scraper asked for them."""
    assert choose_format(accept).content_type_header == content_type
