"""How many commands, trips and bytes a flush takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from lib.kairo_metrics.model.batch import Applied, Unannounced
from lib.kairo_metrics.model.delivery_metrics import BATCHES
from lib.kairo_metrics.model.schema import Schema
from tests.support.batches import batch, delta
from tests.support.instance import JOBS
from tests.support.scripted_instance import FAMILIES, LATENCY, LIFE_S, SHARES, SIZES, WRITER, ScriptedInstance, amount


@pytest.fixture
def instance(redis_url: str) -> Iterator[ScriptedInstance]:
    """Give an instance that has announced its families, and has flushed once more."""
    found = ScriptedInstance(redis_url)
    found.announce()
    assert isinstance(found.use(), Applied)
    yield found
    found.close()


def inside(client: Any, instance: ScriptedInstance, *families: Any) -> dict[str, int]:
    """Return what commands the server runs for a batch."""
    client.config_resetstat()
    verdict = instance.send(*families) if families else instance.use()
    assert isinstance(verdict, Applied)
    stats = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): stat["calls"]
        for name, stat in stats.items()
        if name.removeprefix("cmdstat_") not in {"config", "config|resetstat", "info"}
    }


def test_an_ordinary_flush_runs_few_commands(instance: ScriptedInstance, redis_client: Any) -> None:
    """One EVALSHA, and within it six commands and two for each family."""
    commands = inside(redis_client, instance)
    assert commands == {"evalsha": 1, "time": 1, "get": 1, "hmget": 1, "hget": 3, "hset": 5, "set": 1}
    many = [Schema(f"jobs_{number}", "counter", ("queue",)) for number in range(50)]
    instance.send(*[delta(amount(schema), schema=schema) for schema in many])
    commands = inside(
        redis_client, instance, *[delta(amount(schema), schema=schema, announce=False) for schema in many]
    )
    assert sum(commands.values()) - commands["evalsha"] == 6 + 2 * len(many)


def test_more_series_need_no_more_commands(instance: ScriptedInstance, redis_client: Any) -> None:
    """Four series of a family are read and written by one command each."""
    series = [amount(JOBS, queue) for queue in "abcd"]
    instance.send(delta(*series, announce=False))
    assert inside(redis_client, instance, delta(*series, announce=False)) == {
        "evalsha": 1,
        "time": 1,
        "get": 1,
        "set": 1,
        "hmget": 2,
        "hset": 3,
    }


@pytest.mark.parametrize(
    ("schema", "change"),
    [
        (JOBS, "1 0.1"),
        (SHARES, "1 -1e-07"),
        (SIZES, "1 3.0 2 0.5"),
        (LATENCY, "1 -0.5 3 1.0"),
        (LATENCY, "1 2.5 3 2.0 16 1.0"),
    ],
    ids=lambda value: value.name if isinstance(value, Schema) else value,
)
def test_what_is_added_up_goes_the_plain_way(
    instance: ScriptedInstance, redis_client: Any, schema: Schema, change: str
) -> None:
    """Also fractions, and observations in several buckets, take six commands and two for the family."""
    commands = inside(redis_client, instance, delta(('queue="a"', change), schema=schema, announce=False))
    assert commands == {"evalsha": 1, "time": 1, "get": 1, "hmget": 1, "hget": 1, "hset": 3, "set": 1}


def test_an_ordinary_flush_is_short(instance: ScriptedInstance) -> None:
    """Beside keys, labels and amounts, a batch has less than 48 bytes, and each family one to three."""
    instance.use()
    [command] = instance.commands
    keys = 3 + len(FAMILIES)
    rest = command[3 + keys :]
    assert sum(len(str(word)) for word in rest[:5]) < 48
    assert [str(word) for word in rest[5::3]] == ["g", "a15", "g"]
    assert len(rest) == 5 + 3 * len(FAMILIES)


def trips(instance: ScriptedInstance, *families: Any) -> tuple[int, str]:
    """Return how many commands a batch took, and the verdict."""
    verdict = instance.send(*families) if families else instance.use()
    return len(instance.commands), type(verdict).__name__


def test_what_is_unusual_costs_no_further_trip(instance: ScriptedInstance, redis_client: Any) -> None:
    """A damaged or foreign key, a lost record, a new series: the first answer is the one that it always was."""
    key, index = instance.keys.series(JOBS), instance.keys.families
    assert trips(instance) == (1, "Applied")
    redis_client.hset(key, 'queue="a"', "junk")
    assert trips(instance) == (1, "Applied")
    assert trips(instance, delta(amount(JOBS, "new"), announce=False)) == (1, "Applied")
    entry = redis_client.hget(index, JOBS.index_field)
    redis_client.hset(index, JOBS.index_field, entry.replace(b"counter", b"cou~ter"))
    assert trips(instance) == (1, "Unannounced")
    redis_client.hset(index, JOBS.index_field, entry)
    redis_client.rename(key, "aside")
    redis_client.set(key, "mine")
    assert trips(instance) == (1, "Refused")
    redis_client.rename("aside", key)
    redis_client.delete(instance.keys.writer(WRITER.id))
    assert trips(instance) == (1, "Gap")


def test_a_wiped_namespace_is_announced_again(instance: ScriptedInstance, redis_client: Any) -> None:
    """Without an index the verdict is that all families are unknown, after one trip."""
    redis_client.delete(instance.keys.families)
    assert instance.use() == Unannounced((0, 1, 2))
    assert len(instance.commands) == 1


def test_a_full_family_costs_one_more_trip_once(instance: ScriptedInstance) -> None:
    """The first batch that finds no room is sent twice, to say how it overflows; later ones say it at once."""
    for queue in "bcd":
        assert trips(instance, delta(amount(JOBS, queue), announce=False)) == (1, "Applied")
    assert trips(instance, delta(amount(JOBS, "e"), announce=False)) == (2, "Applied")
    assert instance.send(delta(amount(JOBS, "f"), announce=False)) == Applied(overflowed=(0,))
    assert len(instance.commands) == 1


def test_a_frozen_instance_does_not_send_a_full_family_again(
    instance: ScriptedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the instance slept for long between the two, its record may have expired, so the batch is not sent again."""
    from lib.kairo_metrics.errors import StoreUnavailable

    instance.send(*[delta(amount(JOBS, queue), announce=False) for queue in "bcd"])
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr("lib.kairo_metrics.store.apply_batch.time.time", lambda: float(next(clock)))
    flow = instance.store.apply(WRITER, batch(3, delta(amount(JOBS, "e"), announce=False)))
    next(flow)
    with pytest.raises(StoreUnavailable, match="frozen") as caught:
        flow.send([b"full", 1])
    assert caught.value.sent


def test_keys_live_as_long_as_their_series(instance: ScriptedInstance, redis_client: Any) -> None:
    """An update extends the life of its keys unless that was done in the same minute; they live a minute longer."""
    keys = [instance.keys.series(schema) for schema in (*FAMILIES, BATCHES)] + [instance.keys.families]
    assert all(LIFE_S * 1000 < redis_client.pttl(key) <= (LIFE_S + 60) * 1000 for key in keys)
    for key in keys:
        redis_client.pexpire(key, 60_000)
    minute_ago = b"%013d" % ((time.time() - 60) * 1000)
    for schema in FAMILIES:
        [(text, line)] = redis_client.hgetall(instance.keys.series(schema)).items()
        redis_client.hset(instance.keys.series(schema), text, line[:-13] + minute_ago)
    assert isinstance(instance.use(), Applied)
    assert all(LIFE_S * 1000 < redis_client.pttl(key) <= (LIFE_S + 60) * 1000 for key in keys)
