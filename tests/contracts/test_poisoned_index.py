"""A damaged families index in Redis: a family is left out until an instance announces it again; the rest is served."""

from __future__ import annotations

import time

import pytest
from prometheus_client import Counter

from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.keys import Keys
from tests.support.poisoned import INDEX, TIMES, Poisoned, assert_counted, quarantined, rest

pytestmark = pytest.mark.slow


def test_a_damaged_entry_is_announced_again(cms: Poisoned) -> None:
    """A running instance announces the family again, and its counters are on the page as before."""
    field = cms.key("jobs").split(b":series:")[1].replace(b":", b" ").decode()
    good: bytes = cms.client.hget(INDEX, field)
    other: bytes = cms.client.hget(INDEX, cms.key("took").split(b":series:")[1].replace(b":", b" "))
    spoilt = [b"junk", b"", b"1764000000000", b"\xff", b"x y {}", b'1 2 {"name": "jo', b"9" * 5_000 + good[13:], other]
    spoilt += [good.replace(word, b"cou~ter") for word in (b'"counter"', b"counter", b'"unit"', b'["queue"]', b"jobs")]
    for times, value in enumerate(spoilt, 2):
        before = cms.read()
        cms.client.hset(INDEX, field, value)
        damaged = cms.read()
        assert quarantined(damaged) == {"": 1}
        assert rest(damaged) == rest(before, "jobs")
        cms.count()
        assert_counted(cms, times)
        assert quarantined(cms.read()) == {}


def test_a_copied_entry_counts_nothing_twice(cms: Poisoned) -> None:
    """An entry under the index field of another family counts as damaged, and not as a second family of that name."""
    before = cms.read()
    field = cms.key("jobs").split(b":series:")[1].replace(b":", b" ").decode()
    entry = cms.client.hget(INDEX, field)
    assert entry is not None
    cms.client.hset(INDEX, "copy", entry.replace(b"1", b"0", 1))
    damaged = cms.read()
    assert quarantined(damaged) == {"": 1}
    assert rest(damaged) == rest(before)


def test_a_foreign_index_fails_the_scrape_and_nothing_is_lost(cms: Poisoned) -> None:
    """If the index is a foreign key, instances wait; after it is deleted, they deliver everything."""
    cms.client.rename(INDEX, "aside")
    cms.client.set(INDEX, "mine")
    reasons = cms.foreign()
    assert len(reasons) == 2
    assert all("WRONGTYPE" in reason for reason in reasons)
    cms.client.rename("aside", INDEX)
    cms.flush()
    assert_counted(cms, 2)


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


def test_an_entry_of_a_later_version_is_read_as_far_as_possible(cms: Poisoned) -> None:
    """A new field is ignored; a family of a new type, or with a value of another kind, is left out."""
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


def test_a_schema_that_would_break_the_page_is_left_out(cms: Poisoned) -> None:
    """With a repeated label, or a bad name, bound or unit, the family counts as damaged; the rest is served."""
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


def test_two_names_with_one_escaped_form_are_added_up(cms: Poisoned) -> None:
    """A page without UTF-8 has the sum of both, and tells it; a page with it has both."""
    with cms._program.running():
        Counter("jobs.", "Nearly the same.", registry=cms._program.registry).inc()
        Counter("mails.sent", "Dots.", registry=cms._program.registry).inc()
        Counter("mails_sent", "None.", registry=cms._program.registry).inc(2)
    cms.flush()
    samples = cms.read()
    assert samples["mails_sent_total"] == "3"
    assert samples['kairo_joined_series{family="mails_sent"}'] == "1"
    assert quarantined(samples) == {}
