"""Damage in Redis: what is hurt is left out and counted, all the rest is served, and no instance is held up."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Counter

from lib.kairo_metrics.errors import StoreRefused
from lib.kairo_metrics.rows import Sieve
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.schema import Schema
from tests.every_format import Samples
from tests.poisoned import INDEX, NAMES, Poisoned, family_of

TIMES = b" %013d %013d" % (time.time() * 1000, time.time() * 1000)
FUTURE = b"999999999999999"


@pytest.fixture
def cms(redis_url: str) -> Iterator[Poisoned]:
    """Give an instance that has counted once into the Redis of this test."""
    cms = Poisoned(redis_url)
    yield cms
    cms.close()


def rest(samples: Samples, *hurt: str) -> Samples:
    """Return the samples of all families but the hurt ones, and without what the page tells of itself."""
    return {series: value for series, value in samples.items() if family_of(series) not in {*hurt, ""}}


def quarantined(samples: Samples) -> dict[str, int]:
    """Return by family what was left out."""
    prefix = 'kairo_quarantined_fields{family="'
    counts = {
        series.removeprefix(prefix).removesuffix('"}'): int(v) for series, v in samples.items() if prefix in series
    }
    return {family: count for family, count in counts.items() if count}


# By family: what stands in the place of a good line, its times apart.
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
        before = cms.read()
        assert quarantined(before) == {}, numbers[:40]
        if family != "jobs":
            assert float(before['jobs_total{queue="b"}']) == expected
        assert not [
            series for series, value in before.items() if series.startswith("kairo_samples_lost") and value != "0"
        ]
    for times in (b"", b" 1 2", TIMES[:-1], TIMES + b" ", b" x" + TIMES[2:]):
        cms.client.hset(key, field, good[: -len(TIMES)] + times)
        assert quarantined(cms.read()) == {family: 1}
        cms.count()
        assert quarantined(cms.read()) == {}


def test_a_value_set_in_the_future_gives_way(cms: Poisoned) -> None:
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


def test_an_absurdly_long_label_is_served_and_hurts_nobody(cms: Poisoned) -> None:
    """So many letters are valid, however useless."""
    before = cms.read()
    cms.client.hset(cms.key("jobs"), b'queue="' + b"x" * 200_000 + b'"', b"1" + TIMES)
    after = cms.read()
    assert rest(before).items() <= rest(after).items()
    assert len(rest(after)) == len(rest(before)) + 2  # with its created time


@pytest.mark.parametrize(
    ("family", "kind"), [("jobs", "string"), ("size", "list"), ("least", "set"), ("build", "list")]
)
def test_a_foreign_type_under_series_costs_that_family_alone(cms: Poisoned, family: str, kind: str) -> None:
    """The family is left out and its increments are counted as lost; when the key is gone, it counts again."""
    before = cms.read()
    key = cms.key(family)
    cms.client.delete(key)
    make_foreign(cms.client, key, kind)
    damaged = cms.read()
    assert quarantined(damaged) == {family: 1}
    assert rest(damaged) == rest(before, family)
    cms.count()
    after = cms.read()
    other = "took_count" if family == "jobs" else 'jobs_total{queue="a"}'
    assert float(after[other]) == 2 * float(before[other])
    cms.flush()
    assert float(cms.read()[f'kairo_samples_lost_total{{family="{family}"}}']) > 0
    cms.client.delete(key)
    cms.count()
    assert quarantined(cms.read()) == {}


@pytest.mark.parametrize("kind", ["string", "list", "hash"])
def test_a_foreign_type_under_a_writer_loses_nothing(cms: Poisoned, kind: str) -> None:
    """An instance whose record is spoilt goes on under another name, and its increments count once."""
    [key] = cms.client.keys("kairo:v1:*:writer:*")
    cms.client.delete(key)
    make_foreign(cms.client, key, kind)
    for _ in range(2):
        cms.count()
    assert_counted(cms, 3)


def test_a_spoilt_record_of_a_writer_loses_nothing(cms: Poisoned) -> None:
    """What is no number is no reason to take a new batch for an old one, nor to refuse it for ever."""
    for times, record in enumerate((b"junk", b"", b"-1", b"1e300", b"9" * 400, b"nan", b"\xff\x00"), 1):
        for key in cms.client.keys("kairo:v1:*:writer:*"):
            cms.client.set(key, record)
        for _ in range(2):
            cms.count()
        assert_counted(cms, 1 + 2 * times)


@pytest.mark.parametrize("field", ["batches", "incarnation"])
def test_a_spoilt_name_of_the_state_counts_nothing_twice(cms: Poisoned, field: str) -> None:
    """What the store tells of itself is set right by the next batch, which is applied once."""
    values = (b"junk x", b"", b"\xff", b"9" * 30, b"9223372036854775807", b"-3", b"1.5")
    for times, value in enumerate(values, 1):
        cms.client.hset(INDEX, field, value)
        for _ in range(2):
            cms.count()
        assert_counted(cms, 1 + 2 * times)
        assert (cms.client.hget(INDEX, "batches") or b"").isdigit()
        assert re.fullmatch(rb"[0-9a-f-]+", cms.client.hget(INDEX, "incarnation") or b"")


def test_a_spoilt_entry_of_the_index_is_told_again(cms: Poisoned) -> None:
    """A running instance announces the family anew, and what was counted is there again."""
    field = cms.key("jobs").split(b":series:")[1].replace(b":", b" ").decode()
    for times, value in enumerate((b"junk", b"", b"1764000000000", b"\xff", b"x y {}", b'1 2 {"name": "jo'), 2):
        before = cms.read()
        cms.client.hset(INDEX, field, value)
        damaged = cms.read()
        assert quarantined(damaged) == {"": 1}
        assert rest(damaged) == rest(before, "jobs")
        cms.count()
        assert_counted(cms, times)
        assert quarantined(cms.read()) == {}


def test_a_copied_entry_counts_nothing_twice(cms: Poisoned) -> None:
    """An entry in another one's place is damage, and not a second family of that name."""
    before = cms.read()
    field = cms.key("jobs").split(b":series:")[1].replace(b":", b" ").decode()
    entry = cms.client.hget(INDEX, field)
    assert entry is not None
    cms.client.hset(INDEX, "copy", entry.replace(b"1", b"0", 1))
    damaged = cms.read()
    assert quarantined(damaged) == {"": 1}
    assert rest(damaged) == rest(before)


def test_a_foreign_index_fails_the_scrape_and_nothing_is_lost(cms: Poisoned) -> None:
    """Without its index the state is corrupt as a whole: instances wait, and deliver all of it when it is gone."""
    cms.client.rename(INDEX, "aside")
    cms.client.set(INDEX, "mine")
    reasons = cms.foreign()
    assert len(reasons) == 2
    assert all("WRONGTYPE" in reason for reason in reasons)
    cms.client.rename("aside", INDEX)
    cms.flush()
    assert_counted(cms, 2)


def test_keys_of_somebody_else_and_of_a_later_version_are_left_alone(cms: Poisoned) -> None:
    """What is not of this version and namespace is neither read nor written."""
    before = rest(cms.read())
    theirs = {
        INDEX.replace("v1", "v2"): {"jobs 00ff": "9 9 {}"},
        cms.key("jobs").decode().replace("v1", "v2"): {'queue="a"': "a line of the future"},
        "kairo:v1:{development/7}:families": {"jobs": "junk"},
        "kairo:v1:{other/0}:families": {"jobs": "junk"},
        "kairo:v1:{development/0}:something": {"new": "here"},
        "sessions": {"a": "b"},
    }
    for key, fields in theirs.items():
        cms.client.hset(key, mapping=fields)
    damaged = cms.read()
    assert rest(damaged) == before
    assert quarantined(damaged) == {}
    cms.count()
    assert_counted(cms, 2)
    for key, fields in theirs.items():
        assert {f.decode(): v.decode() for f, v in cms.client.hgetall(key).items()} == fields


METADATA = '{"name": "jobs", "type": "counter", "labels": ["queue"], "bounds": [], "mode": "", "states": [], "of": ""'


LATER = [
    METADATA + ', "help": "Jobs.", "unit": "", "exponent": 2}',
    METADATA.replace("counter", "sketch") + ', "help": "", "unit": ""}',
    METADATA + ', "help": 5, "unit": ""}',
    METADATA + ', "help": "", "unit": "bytes"}',
    METADATA + "}",
    METADATA.replace('["queue"]', "[" * 100_000) + "}",
    METADATA.replace('"jobs"', "9" * 5_000) + "}",
    "[]",
    "null",
    "\x00",
]


def test_an_entry_of_a_later_version_is_read_as_far_as_it_is_understood(cms: Poisoned) -> None:
    """A field that is new is passed over; a type that is new, or a value of another kind, costs that family."""
    before = cms.read()
    field = cms.key("jobs").split(b":series:")[1].replace(b":", b" ").decode()
    for metadata in LATER:
        cms.client.hset(INDEX, field, f"1764000000000 1764000000000 {metadata}")
        after = cms.read()
        understood = "exponent" in metadata
        assert rest(after) == (rest(before) if understood else rest(before, "jobs"))
        assert quarantined(after) == ({} if understood else {"": 1})


CRAFTED = [
    Schema("odd", "counter", ("a", "a")),
    Schema("odd", "counter", ("__name__",)),
    Schema("odd\ud800", "counter"),
    Schema("odd\x00", "counter"),
    Schema("odd", "counter", ("a\ud800",)),
    Schema("odd", "counter", mode="all"),
    Schema("odd", "counter", unit="x\n# TYPE x"),
    Schema("odd", "counter", unit="bytes"),
    Schema("odd_bytes", "info", unit="bytes"),
    Schema("odd", "gauge", mode="median"),
    Schema("odd", "gauge", mode="livesum"),
    Schema("odd", "gauge", mode="sum", bounds=("+Inf",)),
    Schema("odd", "histogram", ("le",), ("1.0", "+Inf")),
    Schema("odd", "histogram", bounds=("1.0\n", "+Inf")),
    Schema("odd", "histogram", bounds=(" 1", "+Inf")),
    Schema("odd", "histogram", bounds=("nan", "+Inf")),
    Schema("odd", "histogram", bounds=("1e999", "+Inf")),
    Schema("odd", "histogram", bounds=("2.0", "1.0", "+Inf")),
    Schema("odd", "histogram", bounds=("1.0",)),
    Schema("odd", "summary", ("quantile",)),
    Schema("odd", "stateset", ("odd",), states=("a",)),
    Schema("odd", "counter", states=("a",)),
    Schema("odd", "counter", of="x"),
]


def test_a_schema_that_would_spoil_the_page_is_left_out(cms: Poisoned) -> None:
    """A repeated label, a broken name or bound, a foreign unit: the family counts as damaged, the rest is served."""
    before = rest(cms.read())
    now_ms = int(time.time() * 1000)
    for schema in CRAFTED:
        cms.client.hset(INDEX, schema.index_field, f"{now_ms} {now_ms} {schema.metadata()}")
        numbers = "".join("= " if letter == "x" else "1 " for letter in schema.shape).encode()
        text = ",".join(f'{name}="1"' for name in schema.labelnames).encode(errors="replace")
        cms.client.hset(Keys("development", 0).series(schema).encode(errors="replace"), text, numbers[:-1] + TIMES)
        damaged = cms.read()
        assert rest(damaged) == before, schema
        assert quarantined(damaged) == {"": 1}, schema
        cms.client.hdel(INDEX, schema.index_field)


def test_names_that_are_one_where_they_are_escaped_cost_the_later_one(cms: Poisoned) -> None:
    """A page without UTF-8 has one of the two; a page with it has both."""
    with cms._program.running():
        Counter("jobs.", "Nearly the same.", registry=cms._program.registry).inc()
        Counter("mails.sent", "Dots.", registry=cms._program.registry).inc()
        Counter("mails_sent", "None.", registry=cms._program.registry).inc()
    cms.flush()
    samples = cms.read()
    assert quarantined(samples) == {"mails_sent": 1}


def test_damaged_exemplars_are_passed_over(cms: Poisoned) -> None:
    """An exemplar that can't be printed is no loss: the numbers stand without it, in every format."""
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
    """An instance's name is a label like any other."""
    key = cms.key("everybody")
    for name in (b"", b"__ended__", b'a\\"b', b'x,instance_id=\\"y', b"\xc3\xa9", b" "):
        cms.client.hset(key, b'instance_id="%b"' % name, b"3 1764000000000" + TIMES)
    cms.client.hset(key, b'instance_id="a",instance_id="b"', b"3 1764000000000" + TIMES)
    cms.client.hset(key, b"", b"3 1764000000000" + TIMES)
    samples = cms.read()
    assert quarantined(samples) == {"everybody": 2}
    assert len([series for series in samples if series.startswith("everybody{")]) == 7
    cms.count()
    assert_counted(cms, 2)


def test_lines_of_another_mode_are_left_out(cms: Poisoned) -> None:
    """Where the index says one mode of a gauge and the lines another, no number is taken for what it is not."""
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
def test_no_line_makes_the_patterns_try_again_and_again(line: bytes, text: bytes) -> None:
    """What was matched is never tried another way: a pattern without one greedy quantifier can't go back."""
    schemas = [
        Schema("s", "counter", ("queue",)),
        Schema("s", "native", ("queue",), ("+Inf",)),
        Schema("s", "exemplars"),
    ]
    for schema in [*schemas, Schema("s", "histogram", ("queue",), ("1.0", "+Inf")), Schema("s", "info", ("queue",))]:
        sieve = Sieve(schema, 0)
        sieve.take([text, line + TIMES])
        assert (sieve.rows, sieve.damaged) == ({}, 1)


def make_foreign(client: Any, key: bytes, kind: str) -> None:
    """Put something of another type under a key."""
    match kind:
        case "string":
            client.set(key, "mine")
        case "list":
            client.rpush(key, "mine")
        case "set":
            client.sadd(key, "mine")
        case "hash":
            client.hset(key, "mine", "mine")


def assert_counted(cms: Poisoned, times: int) -> None:
    """Fail unless everything was counted as often as the instruments were used."""
    samples = cms.read()
    assert samples['jobs_total{queue="a"}'] == str(2 * times)
    assert samples['wait_count{queue="b"}'] == samples["took_count"] == str(times)
    assert samples["size_count"] == str(3 * times)
    assert samples["load"] == str(1.5 * times).removesuffix(".0")
    assert {family_of(series) for series in samples} >= set(NAMES)


def test_a_right_that_is_missing_is_no_poison(cms: Poisoned) -> None:
    """What a server refuses for want of a permission waits until it has it, and is not counted as lost."""
    for command in ("hlen", "hmget", "get"):
        cms.client.execute_command("ACL", "SETUSER", "default", f"-{command}")
        try:
            with cms._program.running():
                more = Counter(f"more_{command}", "A new series.", ["kind"], registry=cms._program.registry)
                more.labels("new").inc()
            with pytest.raises(StoreRefused):
                cms.count()
        finally:
            cms.client.execute_command("ACL", "SETUSER", "default", "+@all")
        cms.flush()
    assert_counted(cms, 4)
    assert not [s for s, value in cms.read().items() if s.startswith("kairo_samples_lost") and value != "0"]
