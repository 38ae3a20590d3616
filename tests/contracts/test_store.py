"""One suite for the memory store and the Redis store, with and without the script in the server's cache."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lib.kairo_metrics.model.batch import Applied, Duplicate, Gap, Refused, Unannounced, Writer
from lib.kairo_metrics.model.delivery_metrics import OVERFLOWED
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.model.snapshot import IndexEntry
from lib.kairo_metrics.scrape.decode import SeriesDecoder
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore
from lib.kairo_metrics.store.store_interface import Store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.support.batches import batch, delta, send
from tests.support.instance import JOBS, WAIT, settings

LATEST = Schema("temperature", "gauge", ("room",), mode="mostrecent")
Make = Callable[..., Store]


@pytest.fixture(params=["memory", "redis", "redis, script cached"])
def make_store(request: pytest.FixtureRequest) -> Make:
    """Give a function that makes a store of each kind, with the settings that a test needs."""
    if request.param == "memory":
        return lambda **changes: MemoryStore(settings(**changes))
    redis_url: str = request.getfixturevalue("redis_url")

    def make(**changes: Any) -> Store:
        store = RedisStore(settings(redis_url, **changes))
        if request.param == "redis, script cached":
            send(store, batch(1), Writer("warm-up", 0))
            with redis.Redis.from_url(redis_url) as client:
                client.flushall()
        return store

    return make


def rows(store: Store, schema: Schema = JOBS, shard: int = 0) -> dict[str, str]:
    """Read a family's rows as text."""

    async def read() -> dict[str, str]:
        decoder = SeriesDecoder(schema, 0)
        async for _, items in store.scan([IndexEntry(shard, schema, 0)]):
            assert items is not None
            decoder.add_chunk(items)
        if isinstance(store, RedisStore):
            await store.aclose()
        assert decoder.damaged == 0
        return {text.decode(): numbers.decode() for text, numbers in decoder.series.items()}

    return asyncio.run(read())


def test_increments_add_up_over_batches(make_store: Make) -> None:
    """What several batches add to one series is their sum."""
    store = make_store()
    assert send(store, batch(1, delta(('queue="a"', "1 2"), ('queue="b"', "1 0.5")))) == Applied()
    assert send(store, batch(2, delta(('queue="a"', "1 3"), announce=False))) == Applied()
    assert rows(store) == {'queue="a"': "5", 'queue="b"': "0.5"}


def test_a_batch_sent_again_changes_nothing(make_store: Make) -> None:
    """A batch whose reply was lost can be sent again and is not counted twice."""
    store = make_store()
    first = batch(1, delta(('queue="a"', "1 2")))
    assert [send(store, first), send(store, first)] == [Applied(), Duplicate()]
    assert rows(store) == {'queue="a"': "2"}


def test_a_batch_may_hold_any_number_of_series_of_a_family(make_store: Make) -> None:
    """A batch with more series and exemplars than Lua passes to one command is applied as a whole."""
    store = make_store()
    large = batch(1, delta(*((f'queue="{number}"', "1 2") for number in range(9_000))))
    assert [send(store, large), send(store, large)] == [Applied(), Duplicate()]
    assert rows(store) == {f'queue="{number}"': "2" for number in range(9_000)}


def test_a_gap_names_the_expected_number(make_store: Make) -> None:
    """A store that has lost batches answers with the number of the first one to send again."""
    store = make_store()
    assert send(store, batch(3, delta(('queue="a"', "1 2")))) == Gap(1)
    send(store, batch(1, delta(('queue="a"', "1 2"))))
    assert send(store, batch(3, delta(('queue="a"', "1 2")))) == Gap(2)
    assert rows(store) == {'queue="a"': "2"}


def test_writers_are_numbered_independently(make_store: Make) -> None:
    """The batches of two instances that both start at 1 are not taken for duplicates."""
    store = make_store()
    for writer in (Writer("w1", 0), Writer("w2", 0)):
        assert send(store, batch(1, delta(('queue="a"', "1 1"))), writer) == Applied()
    assert rows(store) == {'queue="a"': "2"}


def test_an_unknown_family_must_be_announced(make_store: Make) -> None:
    """A store that was emptied asks for the metadata, without which its series could not be printed."""
    store = make_store()
    known, unknown = delta(('queue="a"', "1 1")), delta(('queue="a"', "1 1"), schema=WAIT, announce=False)
    assert send(store, batch(1, known, unknown)) == Unannounced((1,))
    assert rows(store) == {}


def test_a_histogram_is_one_line(make_store: Make) -> None:
    """Sum and buckets of an observation arrive together or not at all."""
    store = make_store()
    send(store, batch(1, delta(('queue="a"', "1 0.05 2 1"), schema=WAIT)))
    send(store, batch(2, delta(('queue="a"', "1 7.5 4 2 3 1"), schema=WAIT)))
    assert rows(store, WAIT) == {'queue="a"': "7.55 1 1 2"}


def test_the_newest_value_of_a_gauge_wins_not_the_last_to_arrive(make_store: Make) -> None:
    """A gauge set long ago and delivered late does not overwrite a newer one."""
    store = make_store()
    send(store, batch(1, delta(('room="a"', "21.5 0 1"), schema=LATEST)))
    send(store, batch(1, delta(('room="a"', "18.0 60000 1"), schema=LATEST)), Writer("w2", 0))
    assert rows(store, LATEST)['room="a"'].split()[0] == "21.5"
    send(store, batch(2, delta(('room="a"', "-3.5 0 1"), schema=LATEST)))
    assert rows(store, LATEST)['room="a"'].split()[0] == "-3.5"


@pytest.mark.parametrize(
    ("schema", "first", "second"),
    [
        (LATEST, "1.0", "0.0"),
        (Schema("load", "gauge", ("instance_id", "room"), mode="livesum"), "1.0", "0.0"),
        (Schema("phase", "stateset", ("room",), states=("idle", "busy")), "1.0", "0.0"),
        (Schema("build", "info", ("room",)), '=version="1"', '=version="2"'),
    ],
    ids=lambda value: value.type if isinstance(value, Schema) else None,
)
def test_the_last_setting_of_an_instance_stays(make_store: Make, schema: Schema, first: str, second: str) -> None:
    """A value that was set a minute after another one replaces it, also if its batch came two minutes sooner."""
    store = make_store()
    text = 'instance_id="i",room="a"' if schema.per_instance else 'room="a"'
    send(store, batch(1, delta((text, f"{first} 0 1"), schema=schema)))
    send(store, batch(2, delta((text, f"{second} 60000 1"), schema=schema)))
    assert rows(store, schema)[text].split()[0] in {second, second.removesuffix(".0")}


def test_a_value_that_is_sent_again_stays_as_old_as_it_is(make_store: Make) -> None:
    """An instance that sends an old value once more does not replace what another instance set in the meantime."""
    store, other = make_store(), Writer("w2", 0)
    send(store, batch(1, delta(('room="a"', "1.0 60000 1"), schema=LATEST)))
    send(store, batch(1, delta(('room="a"', "2.0 30000 1"), schema=LATEST)), other)
    send(store, batch(2, delta(('room="b"', "5.0 0 1"), schema=LATEST)))
    send(store, batch(3, delta(('room="a"', "1.0 60000 0"), schema=LATEST)))
    assert rows(store, LATEST)['room="a"'].split()[0] == "2"


def test_past_the_cap_everything_goes_to_the_overflow_series(make_store: Make) -> None:
    """A family never grows past its cap, its total stays right, and its existing series go on counting."""
    store = make_store(max_series=3)
    send(store, batch(1, delta(*((f'queue="{number}"', "1 1") for number in range(5)))))
    send(store, batch(2, delta(('queue="9"', "1 10"), ('queue="0"', "1 1"), ('queue="9"', "1 1"), announce=False)))
    assert rows(store) == {
        'queue="0"': "2",
        'queue="1"': "1",
        'queue="2"': "1",
        'queue="__overflow__"': "13",
    }
    assert rows(store, OVERFLOWED) == {'family="jobs"': "4"}


@pytest.mark.parametrize(
    ("schema", "deltas", "kept"),
    [
        (WAIT, ("1 0.5 2 1", "1 2 4 1"), "2.5 1 0 1"),
        (Schema("cost", "summary", ("queue",)), ("1 1 2 5", "1 1 2 -7"), "2 -2"),
        (Schema("load", "gauge", ("queue",), mode="sum"), ("1 5", "1 -3.5"), "1.5 0 0 0"),
        (Schema("room", "gauge", ("queue",), mode="mostrecent"), ("5.0 60000 1", "7.0 0 1"), "7"),
        (Schema("room", "gauge", ("queue",), mode="mostrecent"), ("7.0 0 1", "5.0 60000 0"), "7"),
        (Schema("phase", "stateset", ("queue",), states=("idle", "busy")), ("1.0 60000 1", "0.0 0 1"), "0"),
        (Schema("build", "info", ("queue",)), ('=version="1" 60000 1', '=version="2" 0 1'), '=version="2"'),
        (Schema("peak", "gauge", ("instance_id", "queue"), mode="max"), ("9.0 60000 1", "7.0 0 1"), "7"),
    ],
    ids=lambda value: f"{value.type} {value.mode}" if isinstance(value, Schema) else "",
)
def test_every_kind_overflows(make_store: Make, schema: Schema, deltas: tuple[str, str], kept: str) -> None:
    """The overflow series adds up the values that are added up, and holds the last of those that are set."""
    store = make_store(max_series=1)
    own = 'instance_id="i",' if schema.per_instance else ""
    series = [(f'{own}queue="{number}"', delta) for number, delta in enumerate((deltas[0], *deltas))]
    send(store, batch(1, delta(*series, schema=schema)))
    found = rows(store, schema)
    assert found.keys() == {series[0][0], schema.overflow_text}
    assert found[schema.overflow_text].split()[: len(kept.split())] == kept.split()


def test_an_overflow_is_reported_and_counted_once(make_store: Make) -> None:
    """The verdict names the metrics that overflowed; updates that the instance refused itself are in the same count."""
    store = make_store(max_series=1)
    assert send(store, batch(1, delta(('queue="a"', "1 1")), delta(('queue="a"', "1 1 2 1"), schema=WAIT))) == Applied()
    own_count = delta(('family="jobs"', "1 7"), schema=OVERFLOWED)
    other_kind = delta(('room="a"', "1 1"), ('room="b"', "1 1"), schema=Schema("jobs", "counter", ("room",)))
    exemplars = delta(*((f'1 queue="{letter}"', "=1=a 0 1") for letter in "abc"), schema=JOBS.exemplars)
    full = delta(('queue="b"', "1 1"), ('queue="c"', "1 1"))
    sealed = batch(2, delta(('queue="a"', "1 1 2 1"), schema=WAIT), full, own_count, other_kind, exemplars)
    assert send(store, sealed) == Applied(overflowed=(1, 3))
    assert rows(store, OVERFLOWED) == {'family="jobs"': "10"}
    assert send(store, batch(3, delta(('queue="d"', "1 1")))) == Applied(overflowed=(0,))
    assert rows(store, OVERFLOWED) == {'family="jobs"': "11"}


def test_removing_the_overflow_series_makes_no_room(make_store: Make) -> None:
    """It does not count towards the cap, so a new series in the same batch overflows as before."""
    store = make_store(max_series=1)
    send(store, batch(1, delta(('queue="a"', "1 1"), ('queue="b"', "1 1"))))
    send(store, batch(2, delta(('queue="__overflow__"', "D"), ('queue="c"', "1 5"))))
    assert rows(store) == {'queue="a"': "1", 'queue="__overflow__"': "5"}


def test_shards_are_separate(make_store: Make) -> None:
    """What an instance writes to one shard is not in another."""
    store = make_store(shards=2)
    send(store, batch(1, delta(('queue="a"', "1 1"))), Writer("w1", 1))
    assert rows(store, shard=0) == {}
    assert rows(store, shard=1) == {'queue="a"': "1"}


@pytest.mark.parametrize("amount", [1e15, 0.1 + 0.2, 1e-300, 2.0**53 + 2, 1.7976931348623157e308, float("inf")])
def test_numbers_survive_exactly(make_store: Make, amount: float) -> None:
    """A number reads back as the same float, however long it is."""
    store = make_store()
    send(store, batch(1, delta(('queue="a"', f"1 {amount!r}"))))
    assert float(rows(store)['queue="a"']) == amount


AMOUNTS = st.floats(min_value=0, max_value=1e9) | st.integers(0, 10**6).map(float)
TEXTS = st.sampled_from([f'queue="{letter}"' for letter in "abcde"])


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    batches=st.lists(
        st.tuples(
            st.sampled_from(["w1", "w2"]),
            st.integers(1, 4),
            st.lists(st.tuples(TEXTS, AMOUNTS), max_size=6),
            st.lists(st.tuples(TEXTS, st.integers(2, 4), AMOUNTS), max_size=4),
        ),
        max_size=12,
    )
)
def test_the_script_does_what_the_memory_store_does(
    redis_url: str,
    batches: list[tuple[str, int, list[tuple[str, float]], list[tuple[str, int, float]]]],
) -> None:
    """For any order and numbering of batches, both stores give the same verdicts and the same rows."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    memory = MemoryStore(settings(max_series=3))
    real = RedisStore(settings(redis_url, max_series=3))
    for writer, seq, counted, observed in batches:
        sealed = batch(
            seq,
            delta(*((text, f"1 {amount!r}") for text, amount in counted)),
            delta(*((text, f"1 {amount!r} {bucket} 1") for text, bucket, amount in observed), schema=WAIT),
        )
        assert send(memory, sealed, Writer(writer, 0)) == send(real, sealed, Writer(writer, 0))
    for schema in (JOBS, WAIT, OVERFLOWED):
        assert rows(memory, schema) == rows(real, schema)


def test_a_foreign_key_refuses_its_family_and_nothing_is_written(redis_url: str, redis_client: redis.Redis) -> None:
    """A family whose key holds another type is refused; no other family is affected, and the key stays as it is."""
    store = RedisStore(settings(redis_url))
    keys = Keys("development", 0)
    redis_client.set(keys.series(WAIT), "mine")
    sealed = batch(1, delta(('queue="a"', "1 1")), delta(('queue="a"', "1 1 2 1"), schema=WAIT))
    assert send(store, sealed) == Refused((1,))
    assert redis_client.keys("*") == [keys.series(WAIT).encode()]


@pytest.mark.parametrize("broken", ["1 2 3", "9 1", "x 1", "1 x", "0 1"])
def test_a_malformed_delta_refuses_its_family(redis_url: str, redis_client: redis.Redis, broken: str) -> None:
    """With one bad argument nothing of the batch is written; without that family the rest is applied."""
    store = RedisStore(settings(redis_url))
    good = delta(('queue="a"', "1 1 2 1"), schema=WAIT)
    assert send(store, batch(1, good, delta(('queue="a"', "1 1"), ('queue="b"', broken)))) == Refused((1,))
    assert redis_client.keys("*") == []
    assert send(store, batch(1, good)) == Applied()


def test_a_damaged_line_starts_again_from_zero(redis_url: str, redis_client: redis.Redis) -> None:
    """A series whose line was damaged goes on counting."""
    store = RedisStore(settings(redis_url))
    send(store, batch(1, delta(('queue="a"', "1 1"))))
    redis_client.hset(Keys("development", 0).series(JOBS), 'queue="a"', "junk")
    send(store, batch(2, delta(('queue="a"', "1 2"))))
    assert rows(store) == {'queue="a"': "2"}


def test_a_stale_series_that_comes_back_starts_from_zero(redis_url: str, redis_client: redis.Redis) -> None:
    """A series that had expired starts again from zero, with a new created time."""
    store = RedisStore(settings(redis_url, series_ttl_s=60))
    key = Keys("development", 0).series(JOBS)
    old_ms = int(time.time() * 1000) - 61_000
    redis_client.hset(key, 'queue="a"', f"41 {old_ms} {old_ms}")
    send(store, batch(1, delta(('queue="a"', "1 2"))))
    line = redis_client.hget(key, 'queue="a"')
    assert line is not None
    numbers, created_ms, _ = line.split()
    assert numbers == b"2"
    assert int(created_ms) > old_ms


def test_every_key_has_a_time_to_live(redis_url: str, redis_client: redis.Redis) -> None:
    """No key stays in Redis forever."""
    store = RedisStore(settings(redis_url, max_series=1))
    send(store, batch(1, delta(('queue="a"', "1 1"), ('queue="b"', "1 1")), delta(('queue="a"', "1 1"), schema=WAIT)))
    keys = redis_client.keys("*")
    assert len(keys) == 6
    assert all(redis_client.pttl(key) > 0 for key in keys)
    assert sorted(redis_client.keys("kairo:v1:{development/0}:*")) == sorted(keys)
