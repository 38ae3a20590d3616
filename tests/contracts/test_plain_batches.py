"""The plain way through the script does what the whole script does; what both cost in commands, trips and bytes."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lib.kairo_metrics.model.delivery_metrics import BATCHES
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.keys import Keys
from tests.support.batches import delta
from tests.support.examples import examples
from tests.support.instance import JOBS, Start, nonzero_samples
from tests.support.scripted_instance import ADDED_UP, FAMILIES, LATENCY, LIFE_S, SIZES, WRITER, ScriptedInstance, amount

pytestmark = pytest.mark.slow

NUMBERS = st.sampled_from(
    ["0", "1", "1.0", "12.0", "0.1", "2.5e-07", "1e+300", "inf", "nan", "-1.0", "99999999999999.0"]
)


WHOLE = st.sampled_from(["1.0", "3.0", "0.0", "99999999999999.0", "1"])


@st.composite
def one_delta(draw: st.DrawFn, schema: Schema) -> Any:
    """Draw what a batch adds to a family."""
    series = {}
    for queue in draw(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=3)):
        words = [1, draw(NUMBERS)]
        if schema is LATENCY:
            for index in draw(st.lists(st.integers(2, 16), max_size=3)):
                words += [index, draw(WHOLE)]
        if schema is SIZES:
            words = [1, draw(WHOLE), 2, draw(NUMBERS)]
        change = " ".join(map(str, words))
        series[f'queue="{queue}"'] = draw(
            st.sampled_from([change] * 6 + ["D", f"D {change}", "1", "1 x", "17 1", "0 1"])
        )
    return delta(*series.items(), schema=schema, announce=draw(st.integers(0, 9)) == 0)


TIMES = "1764000000000"


LINES = st.sampled_from(
    [
        *(
            "junk",
            "",
            "1",
            f"1 {TIMES}",
            "NaN",
            "-1",
            "1.",
            "1.2.3",
            "0x10",
            "1e999",
            "+Inf",
            "2 3",
            "9" * 15,
            "9" * 16,
        ),
        *("1" + " 0" * 15, "-1.5" + " 0" * 15, "1." + " 0" * 15, "1.5" + " 0" * 14, "1" + " 0" * 16, "007"),
        *("1" + " 1" * 14 + " " + "9" * 16, "1" + " " + "9" * 15 + " 1" * 14, "1" + " " + "1" * 16 + " 1" * 14),
        *("1" + " 123456" * 15, "1e5" + " 1" * 15, "1" + " 1" * 14 + " -1", "NaN" + " 1" * 15, " 1", "1 "),
        *(
            "1.5 0 0 0",
            "-2 1 -1 0",
            "1 0 0",
            "1 0 0 1.5",
            "1 0 0 " + "9" * 17,
            "3 0.5",
            "3.5 1",
            "-3 1",
            "3 -0.5",
            "3 +Inf",
        ),
    ]
)


AGES = st.sampled_from([0, 1, LIFE_S - 60, LIFE_S + 60, -3_000])
SPOILT = [b"junk", b"", b"\xff", b"9" * 15, b"9" * 16, b"007", b"a-1", b"1 a-1 10 5 3"]


@st.composite
def one_doing(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw a batch, or damage."""
    kind = draw(st.sampled_from(["send"] * 8 + ["line", "entry", "state", "record", "foreign", "delete"]))
    if kind == "send":
        chosen = draw(st.lists(st.sampled_from(ADDED_UP), unique=True, max_size=3))
        return kind, [draw(one_delta(schema)) for schema in chosen], draw(st.sampled_from([1] * 8 + [0, 2]))
    if kind == "line":
        return kind, draw(st.sampled_from((*ADDED_UP, BATCHES))), draw(st.sampled_from("ab")), draw(LINES), draw(AGES)
    if kind == "entry":
        place = draw(st.just((13, False)) | st.tuples(st.integers(29, 400), st.booleans()))
        return kind, draw(st.sampled_from(FAMILIES)), *place
    if kind == "state":
        return kind, draw(st.sampled_from(["batches", "incarnation", "recovery"])), draw(st.sampled_from(SPOILT))
    if kind == "record":
        return kind, draw(st.sampled_from(SPOILT))
    return kind, draw(st.sampled_from((*FAMILIES, BATCHES)))


DOINGS = st.lists(one_doing(), max_size=12)
USED = [("send", [delta(amount(schema), schema=schema, announce=False) for schema in FAMILIES], 1)]


@given(doings=DOINGS)
@example(doings=USED * 3)
@example(doings=[*USED * 2, ("delete", BATCHES), *USED])
@hypothesis_settings(max_examples=examples(50), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_plain_way_does_what_the_whole_script_does(redis_server: str, doings: list[tuple[Any, ...]]) -> None:
    """For any batches and damage, the verdicts and all keys are equal, whether or not the plain way is open."""
    client: Any = redis.Redis.from_url(redis_server)
    client.flushall()
    pair = ScriptedInstance(redis_server, "a"), ScriptedInstance(redis_server, "b", whole=True)
    try:
        for one in pair:
            one.announce()
        for doing in doings:
            verdicts = [do(client, one, doing) for one in pair]
            assert verdicts[0] == verdicts[1]
            assert stored(client, "a") == stored(client, "b")
    finally:
        for one in pair:
            one.close()
        client.close()


def do(client: Any, instance: ScriptedInstance, doing: tuple[Any, ...]) -> Any:
    """Send a batch, or do damage."""
    kind, *rest = doing
    if kind == "send":
        families, ahead = rest
        return instance.send(*families, ahead=ahead)
    if kind == "state":
        client.hset(instance.keys.families, rest[0], rest[1])
    elif kind == "record":
        client.set(instance.keys.writer(WRITER.id), rest[0])
    elif kind == "entry":
        schema, place, is_removed = rest
        entry = client.hget(instance.keys.families, schema.index_field) or b""
        spoilt = entry[:place] + (b"" if is_removed else b"~") + entry[place + 1 :]
        client.hset(instance.keys.families, schema.index_field, spoilt)
    else:
        key = instance.keys.series(rest[0])
        if kind == "line":
            schema, queue, line, age_s = rest
            text = 'outcome="applied"' if schema is BATCHES else f'queue="{queue}"'
            touched = b"%013d" % ((time.time() - age_s) * 1000)
            if client.type(key) == b"hash":
                client.hset(key, text, line.encode() + (b" " + TIMES.encode() + b" " + touched if line else b""))
        else:
            client.delete(key)
            if kind == "foreign":
                client.rpush(key, "mine")
    return None


def stored(client: Any, namespace: str) -> dict[str, Any]:
    """Return what is stored, without times and the name of the namespace."""
    found = {}
    for key in client.keys(f"kairo:v1:{{{namespace}/*"):
        kind = client.type(key)
        value = (
            sorted(client.hgetall(key).items()) if kind == b"hash" else client.get(key) if kind == b"string" else kind
        )
        assert kind == b"list" or client.pttl(key) != -1 or value in SPOILT
        found[key.decode().partition("}")[2]] = re.sub(r"\d{13}", "T", repr(value))
    return found


async def test_batches_are_counted_however_they_travel(start: Start, redis_url: str, redis_client: Any) -> None:
    """Each batch is counted once, also if the count is damaged, deleted or foreign in between."""
    instance = start(redis_url)

    async def use() -> dict[str, float]:
        instance.add('queue="a"')
        await instance.flusher.aflush()
        return await nonzero_samples(instance.store, "kairo_batches_total")

    applied = 'kairo_batches_total{outcome="applied"}'
    key = Keys("development", 0).series(BATCHES)
    for number in range(1, 4):
        assert await use() == {applied: number}
    redis_client.hset(key, 'outcome="applied"', "junk")
    assert await use() == {applied: 4}
    redis_client.delete(key)
    [(text, line)] = redis_client.hgetall(Keys("development", 0).series(JOBS)).items()
    minute_ago = b"%013d" % ((time.time() - 60) * 1000)
    redis_client.hset(Keys("development", 0).series(JOBS), text, line[:-13] + minute_ago)  # so the count is looked at
    assert await use() == {applied: 5}
    redis_client.delete(key)
    redis_client.set(key, "mine")
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert redis_client.get(key) == b"mine"
    assert redis_client.pttl(key) == -1


async def test_a_damaged_entry_of_the_batches_is_announced_again(
    start: Start, redis_url: str, redis_client: Any
) -> None:
    """No batch has that family, so its entry is looked at once a minute; the batch that finds damage counts once."""
    instance, keys = start(redis_url), Keys("development", 0)

    async def use() -> None:
        instance.add('queue="a"')
        await instance.flusher.aflush()

    await use()
    good = redis_client.hget(keys.families, BATCHES.index_field)
    redis_client.hset(keys.families, BATCHES.index_field, good.replace(b"counter", b"cou~ter"))
    await use()
    assert b"cou~ter" in redis_client.hget(keys.families, BATCHES.index_field)
    minute_ago = b"%013d" % ((time.time() - 60) * 1000)
    [(text, line)] = redis_client.hgetall(keys.series(JOBS)).items()
    redis_client.hset(keys.series(JOBS), text, line[:-13] + minute_ago)
    await use()
    assert redis_client.hget(keys.families, BATCHES.index_field)[27:] == good[27:]
    assert await nonzero_samples(instance.store, "jobs_total") == {'jobs_total{queue="a"}': 3}
    assert await nonzero_samples(instance.store, "kairo_batches_total") == {'kairo_batches_total{outcome="applied"}': 3}
