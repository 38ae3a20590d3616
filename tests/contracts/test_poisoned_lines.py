"""Damaged lines and label texts in Redis: only they are left out and counted, and the next increment repairs them."""

from __future__ import annotations

import pytest

from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.scrape.decode import SeriesDecoder
from tests.support.poisoned import FUTURE, TIMES, Poisoned, assert_counted, quarantined, rest, times

pytestmark = pytest.mark.slow

DAMAGE: dict[str, list[bytes]] = {
    "jobs": [
        b"NaN",
        b"-Inf",
        b"-1",
        b"1e999",
        b"9" * 400,
        b"9" * 5_000,
        b"0x10",
        b"inf",
        b"1_0",
        b"1.2.3",
        b"1.",
        b"2 3",
    ],
    "wait": [
        b"1.5 0 -1 0",
        b"1.5 0 0.5 0",
        b"1.5 0 NaN 0",
        b"1.5 0 1",
        b"1.5 0 1 0 0",
        b"1e400 0 1 0",
        b"1 0 1 " + b"9" * 30,
    ],
    "took": [b"-1 0.25", b"1.5 0.25", b"+Inf 0.25", b"1 x", b"1"],
    "size": [
        b"x x x x x x x",
        b"1 3 1 3 nan - -",
        b"1 3 1 9 0.001 1:1 2:1",
        b"1 3 1 3 1e999 1:1 2:1",
        b"1 4 1 3 0.001 1:1 2:1",
        b"1 3 1 3 0.001 1:1,2: -",
        b"1 3 1 3 0.001 99999999999:2 -",
        b"1 3 1 3 0.001 1:-2 2:4",
        b"1 3 1 3 0.001 1:2",
        b"1 3 1 3 0.001 " + b"1:1," * 5_000 + b"x -",
    ],
    "load": [b"NaN 0 0 0", b"+Inf 0 0 0", b"1 0.5 0 0", b"1 17"],
    "least": [b"x 17", b"4 x", b"4", b"4 1e3", b"4 " + b"9" * 5_000, b"4 0 0 0"],
    "heat": [b"x 17", b"19.5 x", b"1e999 17", b"19.5"],
    "build": [b'=a="1",a="2" 17', b"=%ff 17", b'=a="1" x', b"1 17", b'=""="1" 17', b'=__name__="x" 17'],
    "phase": [b"x 17", b"1 x"],
}


@pytest.mark.parametrize("family", DAMAGE)
def test_a_damaged_line_is_quarantined_and_then_replaced(cms: Poisoned, family: str) -> None:
    """Every page is valid without it, the loss is counted, and the next increment puts a good line in its place."""
    before = cms.read()
    key = cms.key(family)
    [(field, good), *_] = sorted(cms.client.hgetall(key).items())
    for numbers in DAMAGE[family]:
        cms.client.hset(key, field, numbers + TIMES)
        damaged = cms.read()
        assert quarantined(damaged) == {family: 1}, numbers[:40]
        assert rest(damaged, family) == rest(before, family), numbers[:40]
        expected = float(before['jobs_total{queue="b"}']) + 2
        cms.count()
        before = cms.read_text()
        assert quarantined(before) == {}, numbers[:40]
        if family != "jobs":
            assert float(before['jobs_total{queue="b"}']) == expected
        assert not [
            series for series, value in before.items() if series.startswith("kairo_samples_lost") and value != "0"
        ]
    for ending in (b"", b" 1 2", TIMES[:-1], TIMES + b" ", b" x" + TIMES[2:]):
        cms.client.hset(key, field, good[: -len(TIMES)] + ending)
        assert quarantined(cms.read()) == {family: 1}
        cms.count()
        assert quarantined(cms.read_text()) == {}


def test_a_value_with_a_time_in_the_future_can_be_replaced(cms: Poisoned) -> None:
    """A gauge, an info and an enum whose time is damaged can be set again."""
    for family in ("least", "heat", "everybody", "build", "phase"):
        key = cms.key(family)
        [(field, line)] = cms.client.hgetall(key).items()
        word = line.split()[0]
        cms.client.hset(key, field, b"%b %b%b" % (word, FUTURE, TIMES))
    cms.count()
    for family in ("least", "heat", "everybody", "build", "phase"):
        [line] = cms.client.hgetall(cms.key(family)).values()
        assert FUTURE not in line


UNPRINTABLE = [
    b"",
    b'queue="\xff"',
    b'queue="\x00"',
    b'queue="a"b"',
    b'queue="a\\x"',
    b'queue="a',
    b"queue=a",
    b'queue="a",queue="a"',
    b'other="a"',
    b'queue="\xed\xa0\x80"',
    b'queue="a"\n',
    b'queue="a"} 1\njobs_total{queue="c"',
]


def test_a_label_text_that_nothing_can_print_is_quarantined(cms: Poisoned) -> None:
    """Undecodable bytes, loose quotes and injected lines never reach a page, one by one or together."""
    before = rest(cms.read())
    for number, field in enumerate(UNPRINTABLE, 1):
        cms.client.hset(cms.key("jobs"), field, b"1" + TIMES)
        damaged = cms.read()
        assert quarantined(damaged) == {"jobs": number}
        assert rest(damaged) == before


def test_a_very_long_label_is_served(cms: Poisoned) -> None:
    """A label value of 16,000 letters is valid: the page shows it, and the rest is as before."""
    before = cms.read()
    cms.client.hset(cms.key("jobs"), b'queue="' + b"x" * 16_000 + b'"', b"1" + TIMES)
    after = cms.read()
    assert rest(before).items() <= rest(after).items()
    assert len(rest(after)) == len(rest(before)) + 2  # the series and its created time


def test_an_absurdly_long_label_or_line_is_quarantined(cms: Poisoned) -> None:
    """Beyond 16 KiB of labels or 64 KiB of numbers a series is damaged: it is told, and the rest is as before."""
    before = rest(cms.read())
    cms.client.hset(cms.key("jobs"), b'queue="' + b"x" * 16_384 + b'"', b"1" + TIMES)
    cms.client.hset(cms.key("jobs"), b'queue="z"', b"1" + b" 1" * 33_000 + TIMES)
    after = cms.read()
    assert quarantined(after) == {"jobs": 2}
    assert rest(after) == before


def test_a_damaged_exemplar_is_left_out(cms: Poisoned) -> None:
    """Without an exemplar that can't be printed, the page has the same numbers as before in every format."""
    before = cms.read()
    keys = [key for key in cms.client.keys("kairo:v1:*:series:*") if cms.is_of_exemplars(key)]
    assert len(keys) == 2
    words = [b'=1.2.3=a="1"', b'=-=a="1"', b'=1e999=a="1"', b'=1=a="1",a="2"', b'=1=a="%ff"', b"=1=", b"=1"]
    words += [b'=1="%0A"="1"', b'=1=""="1"', b'=1=a="' + b"x" * 200 + b'"']
    for key in keys:
        [(field, _), *_] = sorted(cms.client.hgetall(key).items())
        for word in words:
            cms.client.hset(key, field, word + b" 1764000000000" + TIMES)
            assert rest(cms.read()) == rest(before)
        for place in (b"0", b"1", b"4", b"7", b"999999", b"-1", b"1" * 30):
            cms.client.hset(key, place + field[1:], b'=1=a="1" 1764000000000' + TIMES)
        for at_ms in (b"-5", FUTURE, b"9" * 5_000):
            cms.client.hset(key, field, b'=1=a="1" ' + at_ms + TIMES)
            assert rest(cms.read()) == rest(before)
    cms.count()
    assert_counted(cms, 2)


def test_gauges_of_instances_with_odd_names_are_shown_or_left_out(cms: Poisoned) -> None:
    """An instance's name that is a valid label value is shown; a malformed one is left out and counted."""
    key = cms.key("everybody")
    for name in (b"", b"__ended__", b'a\\"b', b'x,instance_id=\\"y', b"\xc3\xa9", b" "):
        cms.client.hset(key, b'instance_id="%b"' % name, b"3 1764000000000" + times())
    cms.client.hset(key, b'instance_id="a",instance_id="b"', b"3 1764000000000" + times())
    cms.client.hset(key, b"", b"3 1764000000000" + times())
    samples = cms.read()
    assert quarantined(samples) == {"everybody": 2}
    assert len([series for series in samples if series.startswith("everybody{")]) == 7
    cms.count()
    assert_counted(cms, 2)


def test_lines_of_another_mode_are_left_out(cms: Poisoned) -> None:
    """If a gauge's lines are not in the mode that the index names, they are left out and counted as damaged."""
    for family, line in (("load", b"4 1764000000000"), ("least", b"4 0 0 0"), ("heat", b"4 0 0 0")):
        key = cms.key(family)
        [field] = cms.client.hkeys(key)
        cms.client.hset(key, field, line + TIMES)
    samples = cms.read()
    assert quarantined(samples) == {"load": 1, "least": 1, "heat": 1}
    cms.count()
    assert quarantined(cms.read()) == {}


EVIL = b"1" * 50_000


@pytest.mark.parametrize(
    "line",
    [EVIL, b"1e" * 25_000, b"1:1," * 25_000, b"=" * 50_000, EVIL + b":" + EVIL, b"1." * 25_000, b" 1" * 25_000],
    ids=range(7),
)
@pytest.mark.parametrize(
    "text", [b'queue="' + b'\\"' * 25_000, b'queue="' + b'a",' * 20_000, b'"' * 50_000], ids=range(3)
)
def test_no_line_makes_a_pattern_backtrack(line: bytes, text: bytes) -> None:
    """Crafted lines of 50,000 characters are refused at once, since no regular expression backtracks."""
    schemas = [
        Schema("s", "counter", ("queue",)),
        Schema("s", "native", ("queue",), ("+Inf",)),
        Schema("s", "exemplars"),
    ]
    for schema in [*schemas, Schema("s", "histogram", ("queue",), ("1.0", "+Inf")), Schema("s", "info", ("queue",))]:
        decoder = SeriesDecoder(schema, 0)
        decoder.add_chunk([text, line + TIMES])
        assert (decoder.series, decoder.damaged) == ({}, 1)
