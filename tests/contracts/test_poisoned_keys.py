"""Damaged and foreign keys in Redis: only what is damaged is lost, and every instance goes on."""

from __future__ import annotations

import pytest
from prometheus_client import Counter

from lib.kairo_metrics.errors import StoreRefused
from tests.support.poisoned import INDEX, Poisoned, assert_counted, make_foreign, quarantined, rest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("family", "kind"), [("jobs", "string"), ("size", "list"), ("least", "set"), ("build", "list")]
)
def test_a_key_of_another_type_affects_its_family_only(cms: Poisoned, family: str, kind: str) -> None:
    """The family is left out and its increments are counted as lost; after the key is deleted, it counts again."""
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
def test_a_record_of_another_type_loses_nothing(cms: Poisoned, kind: str) -> None:
    """An instance whose record holds another type goes on under a new id, and its increments count once."""
    [key] = cms.client.keys("kairo:v1:*:writer:*")
    cms.client.delete(key)
    make_foreign(cms.client, key, kind)
    for _ in range(2):
        cms.count()
    assert_counted(cms, 3)


def test_a_damaged_record_of_a_writer_loses_nothing(cms: Poisoned) -> None:
    """With a damaged number in the record, no batch is skipped as a duplicate, lost, or counted twice."""
    no_numbers = b"junk", b"", b"-1", b"1e300", b"9" * 400, b"nan", b"\xff\x00"
    others = b"1", b"12", b"12 1", b"12 2", b"2 12", b"12 12 ", b" 12 12", b"9" * 16 + b" " + b"9" * 16
    no_times = b"12 12 x", b"12 12 1 1", b"12 12 " + b"9" * 16
    for times, record in enumerate(no_numbers + others + no_times, 1):
        for key in cms.client.keys("kairo:v1:*:writer:*"):
            cms.client.set(key, record)
        for _ in range(2):
            cms.count()
        assert_counted(cms, 1 + 2 * times)


def test_a_blank_anywhere_in_a_record_loses_nothing(cms: Poisoned) -> None:
    """With a blank in place of any letter of the record, the next flush arrives, and counts once."""
    [key] = cms.client.keys("kairo:v1:*:writer:*")
    places = len(cms.client.get(key))
    for place in range(places):
        for key in cms.client.keys("kairo:v1:*:writer:*"):
            record = cms.client.get(key)
            cms.client.set(key, record[:place] + b" " + record[place + 1 :])
        cms.count()
    assert_counted(cms, 1 + places)


def test_keys_of_others_and_of_a_later_version_are_left_alone(cms: Poisoned) -> None:
    """Keys of other versions and namespaces are neither read nor written."""
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


NEEDED = ["time", "get", "hmget", "hlen", "hdel", "hset", "pexpire", "set"]


@pytest.mark.parametrize("command", NEEDED)
def test_a_missing_right_loses_nothing(cms: Poisoned, command: str) -> None:
    """Batches that the server refuses for a missing right wait until it is granted, and then count exactly once."""
    with cms._program.running():
        more = Counter("more", "A new series, and one to be removed.", ["kind"], registry=cms._program.registry)
        more.labels("old").inc()
        cms.flush()
        more.labels("new").inc()
        more.remove("old")
    cms.client.execute_command("ACL", "SETUSER", "default", f"-{command}")
    try:
        for _ in range(2):
            with pytest.raises(StoreRefused):
                cms.count()
    finally:
        cms.client.execute_command("ACL", "SETUSER", "default", "+@all")
    cms.flush()
    assert_counted(cms, 3)
    samples = cms.read()
    assert samples['more_total{kind="new"}'] == "1"
    applied = samples['kairo_batches_total{outcome="applied"}']
    assert cms.client.hget(INDEX, "batches").decode() == applied, "a batch is counted once it is applied"
    assert not [s for s, value in samples.items() if s.startswith("kairo_samples_lost") and value != "0"]
