"""Families of every type as a scrape reads them, for tests of every format."""

from __future__ import annotations

from lib.kairo_metrics.exposition.family import Family
from lib.kairo_metrics.model.schema import Schema

FAMILIES = [
    Family(
        Schema("api_errors", "counter", ("method", "route"), help='Errors, "by" route\\path.\nSecond line.'),
        {b'method="GET",route="/a\\"b\\\\c\\n"': b"3", b'method="PUT",route="/\xc3\xa9"': b"1e+20"},
    ),
    Family(Schema("boots", "counter", help="Boots."), {b"": b"7"}),
    Family(Schema("heat_celsius", "gauge", help="Heat.", unit="celsius"), {b"": b"-0.5"}),
    Family(
        Schema("wait_seconds", "histogram", ("queue",), ("0.2", "1.0", "+Inf"), help="Wait.", unit="seconds"),
        {b'queue="a"': b"3.25 1 0 2", b'queue="b"': b"0 0 0 0"},
    ),
    Family(Schema("drift", "histogram", (), ("-1.0", "0.0", "+Inf"), help="Signed."), {b"": b"-2 1 1 1"}),
    Family(Schema("late", "histogram", (), ("1.0", "+Inf"), help="Sum below zero."), {b"": b"-2 1 1"}),
    Family(Schema("size_bytes", "summary", ("kind",), help="Sizes."), {b'kind="x"': b"2 -5.5"}),
]
