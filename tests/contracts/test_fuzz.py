"""Random damage to any of our keys in a real Redis: pages stay valid, and each increment is counted once."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.model.encoding import pack_line
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.schema_validation import parse_schema
from lib.kairo_metrics.scrape.decode import SeriesDecoder
from lib.kairo_metrics.scrape.exemplars import read_exemplars
from lib.kairo_metrics.scrape.resolve import resolve
from tests.support.every_format import Samples
from tests.support.examples import examples
from tests.support.poisoned import INDEX, Poisoned, family_of

pytestmark = pytest.mark.slow

# Values that parsers often get wrong.
TOKENS = [
    b"NaN",
    b"-Inf",
    b"-1",
    b"1e999",
    b"9" * 30,
    b"9" * 5_000,
    b"0x10",
    b"inf",
    b"",
    b"\xff",
    b"\n",
    b"1:2,3:4",
    b"=",
]
TOKENS += [
    b"-",
    b"+Inf",
    b"1.2.3",
    b"1_0",
    b"\xc2\xa0",
    b"9999999999999",
    b'"',
    b"\\",
    b"{",
    b"}",
    b",",
    b"\x00",
    b" ",
    b"0",
]
TOKENS += [
    b'"labels": ["a", "a"]',
    b"null",
    b"[" * 100_000,
    b"\\ud800",
    b"le",
    b"__name__",
    b"# EOF",
    b"%ff",
    b"1e-999",
]
ANYTHING = st.sampled_from(TOKENS) | st.binary(max_size=12)
Damage = tuple[int, int, str, int, bytes]
DAMAGE = st.tuples(
    st.integers(0, 99),  # which key
    st.integers(0, 99),  # which field of the key
    st.sampled_from(["cut", "splice", "replace", "word", "field", "type"]),
    st.integers(0, 99),  # where in the value, in percent
    ANYTHING,
)


def damage_key(cms: Poisoned, damage: Damage) -> bytes:
    """Damage one key, and return it."""
    key_number, field_number, way, percent, token = damage
    keys = sorted(cms.client.keys("kairo:*"))
    key: bytes = keys[key_number % len(keys)]
    if way == "type":
        cms.client.delete(key)
        cms.client.rpush(key, token)
        return key
    kind = cms.client.type(key)
    if kind == b"string":
        cms.client.set(key, damaged(cms.client.get(key) or b"", way, percent, token))
    elif kind == b"hash":
        fields = sorted(cms.client.hkeys(key))
        field = fields[field_number % len(fields)]
        value = cms.client.hget(key, field) or b""
        if way == "field":
            cms.client.hset(key, damaged(field, "splice", percent, token), value)
        else:
            cms.client.hset(key, field, damaged(value, way, percent, token))
    return key


def damaged(value: bytes, way: str, percent: int, token: bytes) -> bytes:
    """Return the value cut off, with the token inserted, with the token as one of its words, or the token alone."""
    at = len(value) * percent // 100
    words = value.split(b" ")
    match way:
        case "cut":
            return value[:at]
        case "splice":
            return value[:at] + token + value[at:]
        case "word":
            words[percent % len(words)] = token
            return b" ".join(words)
    return token


@pytest.mark.parametrize("reads_between", [True, False])
def test_random_damage_affects_only_the_damaged_families(redis_url: str, *, reads_between: bool) -> None:
    """After any damage every parser reads the page, the other families are exact, and the next flush succeeds."""
    expected = counted(redis_url, [])

    @hypothesis_settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(damage=st.lists(DAMAGE, min_size=1, max_size=4))
    def check(damage: list[Damage]) -> None:
        damaged_families: set[str] = set()
        samples = counted(redis_url, damage, damaged_families, reads_between=reads_between)
        intact = {
            series: value
            for series, value in expected.items()
            if family_of(series) and family_of(series) not in damaged_families
        }
        assert {series: samples.get(series) for series in intact} == intact

    check()


def counted(
    redis_url: str, damage: list[Damage], damaged_families: set[str] | None = None, *, reads_between: bool = False
) -> Samples:
    """Let an instance count, damage some keys, let it count again, and return the page without times."""
    cms = Poisoned(redis_url)
    try:
        names = {cms.key(name): name for name in NAMES_OF_KEYS}
        damaged_keys = [damage_key(cms, one) for one in damage]
        if damaged_families is not None:
            damaged_families.update(names[key] for key in damaged_keys if key in names)
            # Which entry of the index was damaged is unknown: any family may be missing until it is announced again.
            damaged_families.update(names.values() if INDEX.encode() in damaged_keys else ())
        if reads_between and readable(cms):
            cms.read()
        if readable(cms):
            cms.count()
            return without_times(cms.read())
        with pytest.raises(StoreError, match="WRONGTYPE"):
            cms.read()
        with pytest.raises(StoreError, match="WRONGTYPE"):
            cms.count()
        cms.client.delete(INDEX)
        cms.flush()
        return without_times(cms.read())
    finally:
        cms.close()


NAMES_OF_KEYS = ("jobs", "wait", "took", "size", "load", "least", "heat", "everybody", "build", "phase")


def readable(cms: Poisoned) -> bool:
    """Tell whether the index is still a hash."""
    return bool(cms.client.type(INDEX) == b"hash")


def without_times(samples: Samples) -> Samples:
    """Return the samples without created times, which change from run to run."""
    return {series: value for series, value in samples.items() if "_created" not in series}


SCHEMAS = [
    Schema("s", "counter", ("a",)),
    Schema("s", "histogram", ("a",), ("1.0", "+Inf")),
    Schema("s", "summary", ("a",)),
    Schema("s", "native", ("a",), ("1.0", "+Inf")),
    Schema("s", "gauge", ("a",), mode="sum"),
    Schema("s", "gauge", ("a", "instance_id"), mode="min"),
    Schema("s", "gauge", ("instance_id",), mode="liveall"),
    Schema("s", "info", ("a",)),
    Schema("s", "stateset", ("a",), states=("x", "y")),
    Schema("s", "exemplars", of="x"),
]
LINES = st.binary(max_size=60) | st.lists(ANYTHING, max_size=9).map(b" ".join)
TEXTS = st.binary(max_size=30) | st.sampled_from(
    [b'a="1"', b'a="1",instance_id="2"', b'instance_id="2"', b'2 a="1"', b""]
)


@hypothesis_settings(max_examples=examples(400), deadline=None)
@given(
    schema=st.sampled_from(SCHEMAS),
    items=st.lists(st.tuples(TEXTS, LINES, st.booleans()), min_size=1, max_size=4),
)
def test_any_bytes_are_shown_or_counted_as_damaged(schema: Schema, items: list[tuple[bytes, bytes, bool]]) -> None:
    """The codec raises for no bytes, and each field is either shown or counted as damaged."""
    times = pack_line([], 1_764_000_000_000, 1_764_000_000_000).strip()
    fields = {text: b"%b %b" % (line, times) if dated else line for text, line, dated in items}
    decoder = SeriesDecoder(schema, 0)
    decoder.add_chunk([part for field in fields.items() for part in field])
    assert len(decoder.series) + len(decoder.ended) + decoder.damaged == len(fields)
    if schema.type == "exemplars":
        read_exemplars(schema, [decoder.series])
    else:
        resolve(schema, decoder.series)


@hypothesis_settings(max_examples=examples(200), deadline=None)
@given(metadata=st.binary(max_size=60) | st.lists(ANYTHING, max_size=4).map(b"".join), percent=st.integers(0, 99))
def test_any_bytes_are_a_schema_or_refused(metadata: bytes, percent: int) -> None:
    """Any bytes in the index are read as a schema or refused with ValueError; no other error is raised."""
    good = Schema("jobs", "histogram", ("a", "b"), ("1.0", "+Inf"), help="Jobs.").metadata().encode()
    at = len(good) * percent // 100
    for text in (metadata, good[:at] + metadata + good[at:], good[:at] + metadata):
        try:
            schema = parse_schema(text)
        except ValueError:
            continue
        assert schema.name.encode()
