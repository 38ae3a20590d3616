"""The plain way through the script does what the whole script does; what both cost in commands, trips and bytes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lib.kairo_metrics.model.batch import Applied, Batch, State, Unannounced, Verdict, Writer
from lib.kairo_metrics.model.delivery_metrics import BATCHES, OVERFLOWED
from lib.kairo_metrics.model.moment import Moment
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.command_flow import Command, run_flow
from lib.kairo_metrics.store.keys import Keys
from lib.kairo_metrics.store.redis_store import RedisStore
from tests.support.batches import batch, delta
from tests.support.examples import examples
from tests.support.instance import JOBS, Start, nonzero_samples, settings

BOUNDS = tuple(f"{bound}.0" for bound in range(1, 15))
LATENCY = Schema("latency_seconds", "histogram", ("queue",), (*BOUNDS, "+Inf"))
ERRORS = Schema("errors", "counter", ("queue",))
FAMILIES = (JOBS, LATENCY, ERRORS)
SHARES = Schema("shares", "gauge", ("queue",), mode="sum")
SIZES = Schema("sizes", "summary", ("queue",))
ADDED_UP = (*FAMILIES, SHARES, SIZES)
WRITER = Writer("00ff00ff00ff00ff", 0)
LIFE_S = 3_600
# Where the fifth argument is, behind the name, the digest and the number of keys.
_FURTHER = 3 + 4


class Instance:
    """A writer that sends batches of its own, and notes each command.

    Args:
        redis_url: the server.
        namespace: its keys.
        whole: whether the plain way is closed to its batches.
    """

    def __init__(self, redis_url: str, namespace: str = "development", *, whole: bool = False) -> None:
        self.store = RedisStore(settings(redis_url, namespace=namespace, max_series=4, series_ttl_s=LIFE_S))
        self.keys = Keys(namespace, 0)
        self._limited = self.store
        self._whole = whole
        self._seq = 0
        self._known = State()
        self.commands: list[Command] = []

    @contextmanager
    def sync_client(self) -> Iterator[Instance]:
        yield self

    def call(self, *commands: Command) -> list[Any]:
        """Pass a command on; it asks for the whole script if the plain way is closed."""
        [command] = commands
        if self._whole:
            place = _FURTHER + int(command[2])
            further = str(command[place])
            command = (*command[:place], further if " " in further else f"{further} 0 0", *command[place + 1 :])
        self.commands.append(command)
        with self.store.sync_client() as client:
            return client.call(command)

    def send(self, *families: Any, ahead: int = 1) -> Verdict:
        """Send the next batch, or one before or after it."""
        seq = self._seq + ahead
        sealed = Batch(seq, tuple(families), Moment.read(), known=self._known)
        self.commands.clear()
        verdict: Verdict = run_flow(self.store.apply(WRITER, sealed), self)
        if isinstance(verdict, Applied):
            self._seq, self._known = seq, verdict.state
        return verdict

    def announce(self) -> None:
        """Send a first batch, with one series of each family."""
        own = [delta(schema=schema) for schema in (BATCHES, OVERFLOWED)]
        assert isinstance(self.send(*[delta(amount(schema), schema=schema) for schema in ADDED_UP], *own), Applied)

    def use(self) -> Verdict:
        """Send what one request counts."""
        return self.send(*[delta(amount(schema), schema=schema, announce=False) for schema in FAMILIES])

    def close(self) -> None:
        """Close its connections."""
        asyncio.run(self.store.aclose())


def amount(schema: Schema, queue: str = "a") -> tuple[str, str]:
    """Return a series, and what one request adds to it."""
    return f'queue="{queue}"', {LATENCY: "1 0.25 5 1.0", SIZES: "1 1.0 2 512.5"}.get(schema, "1 1.0")


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
@hypothesis_settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
def test_the_plain_way_does_what_the_whole_script_does(redis_server: str, doings: list[tuple[Any, ...]]) -> None:
    """For any batches and damage, the verdicts and all keys are equal, whether or not the plain way is open."""
    client: Any = redis.Redis.from_url(redis_server)
    client.flushall()
    pair = Instance(redis_server, "a"), Instance(redis_server, "b", whole=True)
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


def do(client: Any, instance: Instance, doing: tuple[Any, ...]) -> Any:
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


@pytest.fixture
def instance(redis_url: str) -> Iterator[Instance]:
    """Give an instance that has announced its families, and has flushed once more."""
    found = Instance(redis_url)
    found.announce()
    assert isinstance(found.use(), Applied)
    yield found
    found.close()


def inside(client: Any, instance: Instance, *families: Any) -> dict[str, int]:
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


def test_an_ordinary_flush_runs_few_commands(instance: Instance, redis_client: Any) -> None:
    """One EVALSHA, and within it six commands and two for each family."""
    commands = inside(redis_client, instance)
    assert commands == {"evalsha": 1, "time": 1, "get": 1, "hmget": 1, "hget": 3, "hset": 5, "set": 1}
    many = [Schema(f"jobs_{number}", "counter", ("queue",)) for number in range(50)]
    instance.send(*[delta(amount(schema), schema=schema) for schema in many])
    commands = inside(
        redis_client, instance, *[delta(amount(schema), schema=schema, announce=False) for schema in many]
    )
    assert sum(commands.values()) - commands["evalsha"] == 6 + 2 * len(many)


def test_more_series_need_no_more_commands(instance: Instance, redis_client: Any) -> None:
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
    instance: Instance, redis_client: Any, schema: Schema, change: str
) -> None:
    """Also fractions, and observations in several buckets, take six commands and two for the family."""
    commands = inside(redis_client, instance, delta(('queue="a"', change), schema=schema, announce=False))
    assert commands == {"evalsha": 1, "time": 1, "get": 1, "hmget": 1, "hget": 1, "hset": 3, "set": 1}


def test_an_ordinary_flush_is_short(instance: Instance) -> None:
    """Beside keys, labels and amounts, a batch has less than 48 bytes, and each family one to three."""
    instance.use()
    [command] = instance.commands
    keys = 3 + len(FAMILIES)
    rest = command[3 + keys :]
    assert sum(len(str(word)) for word in rest[:5]) < 48
    assert [str(word) for word in rest[5::3]] == ["g", "a15", "g"]
    assert len(rest) == 5 + 3 * len(FAMILIES)


def trips(instance: Instance, *families: Any) -> tuple[int, str]:
    """Return how many commands a batch took, and the verdict."""
    verdict = instance.send(*families) if families else instance.use()
    return len(instance.commands), type(verdict).__name__


def test_what_is_unusual_costs_no_further_trip(instance: Instance, redis_client: Any) -> None:
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


def test_a_wiped_namespace_is_announced_again(instance: Instance, redis_client: Any) -> None:
    """Without an index the verdict is that all families are unknown, after one trip."""
    redis_client.delete(instance.keys.families)
    assert instance.use() == Unannounced((0, 1, 2))
    assert len(instance.commands) == 1


def test_a_full_family_costs_one_more_trip_once(instance: Instance) -> None:
    """The first batch that finds no room is sent twice, to say how it overflows; later ones say it at once."""
    for queue in "bcd":
        assert trips(instance, delta(amount(JOBS, queue), announce=False)) == (1, "Applied")
    assert trips(instance, delta(amount(JOBS, "e"), announce=False)) == (2, "Applied")
    assert instance.send(delta(amount(JOBS, "f"), announce=False)) == Applied(overflowed=(0,))
    assert len(instance.commands) == 1


def test_a_frozen_instance_does_not_send_a_full_family_again(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
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


def test_keys_live_as_long_as_their_series(instance: Instance, redis_client: Any) -> None:
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
