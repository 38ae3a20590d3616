"""`wipe`: what it deletes, what it keeps, and how running instances go on after it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable

import pytest
import redis

from lib.kairo_metrics.errors import StoreError
from lib.kairo_metrics.model.delivery_metrics import OVERFLOWED
from lib.kairo_metrics.model.schema import Schema
from lib.kairo_metrics.store.keys import Keys
from tests.support.command_run import Command, Output, on_terminal
from tests.support.instance import WAIT, Instance, Start, jobs_total, nonzero_samples, samples
from tests.support.proxy import Proxy
from tests.support.worker_processes import expected, finish, start_worker

Wipe = Callable[..., Awaitable[Output]]
QUESTION = "Type the namespace (development) to delete this: "


@pytest.fixture
def wipe(command: Command) -> Wipe:
    """Return a function that wipes while the event loop of the test's instances runs."""

    async def run(*arguments: str, **environ: str) -> Output:
        return await asyncio.to_thread(command, "wipe", "--yes", *arguments, **environ)

    return run


def _keys(client: redis.Redis) -> set[bytes]:
    keys: list[bytes] = client.keys()  # type: ignore[assignment]
    return set(keys)


def troubles(found: dict[str, float]) -> dict[str, float]:
    """Return the samples about batches that were lost or sent again."""
    bad = ("kairo_samples_lost", *(f'kairo_batches_total{{outcome="{o}"' for o in ("duplicate", "lost", "replayed")))
    return {sample: value for sample, value in found.items() if value and sample.startswith(bad)}


async def count(instance: Instance, times: int = 1) -> None:
    """Let an instance count jobs, one at a time."""
    for _ in range(times):
        instance.add('queue="a"')
        await instance.flusher.aflush()


async def test_what_is_counted_after_a_wipe_is_all_there_is(start: Start, redis_url: str, wipe: Wipe) -> None:
    """A running instance counts from zero: old counts do not return; new ones are not lost and not counted twice."""
    instance = start(redis_url)
    await count(instance, 10)
    assert (await wipe()).code == 0
    assert await jobs_total(instance) == 0
    await count(instance, 3)
    found = await samples(instance.store, "")
    assert found['jobs_total{queue="a"}'] == 3
    assert found['kairo_batches_total{outcome="applied"}'] == 3
    assert troubles(found) == {}


async def test_the_same_holds_for_an_old_instance_and_many(start: Start, redis_url: str, wipe: Wipe) -> None:
    """Neither an instance that has sent more batches than it keeps nor a later one restores old counts."""
    old, other = start(redis_url), start(redis_url)
    await count(old, 100)
    await count(other, 5)
    await wipe()
    late = start(redis_url)
    for instance in (other, late, old, other):
        await count(instance)
    found = await samples(old.store, "")
    assert found['jobs_total{queue="a"}'] == 4
    assert troubles(found) == {}


async def test_a_batch_that_was_under_way_is_not_counted_twice(start: Start, proxy: Proxy, wipe: Wipe) -> None:
    """A batch whose reply was lost before the wipe is a duplicate after it."""
    instance = start(proxy.url)
    await count(instance)
    proxy.lose_reply(to=b"EVALSHA")
    proxy.refuse()
    with pytest.raises(StoreError):
        await count(instance)
    proxy.listen()
    await wipe()
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 0
    await count(instance)
    assert await jobs_total(instance) == 1


async def test_one_family_goes_and_the_others_stay(start: Start, redis_url: str, wipe: Wipe) -> None:
    """`--family`, with any of its names, deletes one family, which then counts from zero; the others are unchanged."""
    instance = start(redis_url)
    instance.add('queue="a"', schema=WAIT, index=2)
    await count(instance, 4)
    wiped = await wipe("--family", "jobs_total", "--json")
    assert [family["family"] for family in wiped.json["families"]] == ["jobs"]
    await count(instance)
    found = await samples(instance.store, "")
    assert found['jobs_total{queue="a"}'] == 1
    assert found['wait_seconds_count{queue="a"}'] == 1
    assert found['kairo_batches_total{outcome="applied"}'] == 5


async def test_overflow_is_counted_after_a_wipe_as_well(start: Start, redis_url: str, wipe: Wipe) -> None:
    """The families that the store writes itself are on the page again, though no instance announces them."""
    instance = start(redis_url, max_series=2)
    for number in range(4):
        instance.add(f'queue="{number}"')
    await instance.flusher.aflush()
    await wipe()
    for number in range(4):
        instance.add(f'queue="{number}"')
    await instance.flusher.aflush()
    assert await nonzero_samples(instance.store, "kairo_samples_overflowed") == {
        'kairo_samples_overflowed_total{family="jobs"}': 2
    }
    await wipe("--family", OVERFLOWED.name)
    instance.add('queue="9"')
    await instance.flusher.aflush()
    assert await nonzero_samples(instance.store, "kairo_samples_overflowed") == {
        'kairo_samples_overflowed_total{family="jobs"}': 1
    }


async def test_only_the_namespace_is_touched(
    start: Start, redis_url: str, redis_client: redis.Redis, wipe: Wipe
) -> None:
    """Other namespaces, even with a similar name, and foreign keys stay; all shards of the namespace are deleted."""
    for namespace in ("development", "development2", "a-development", "preview"):
        for _ in range(8):
            await count(start(redis_url, namespace=namespace, shards=4))
    redis_client.set("kairo:v1:{development/x}:families", "theirs")
    redis_client.set("kairo:v1:{development/0}x:families", "theirs")
    redis_client.set("theirs", "{development/0}")
    redis_client.set("kairo:v1:{development/0}:junk", "ours, and unknown")
    everything = _keys(redis_client)
    others = {key for key in everything if not key.startswith(b"kairo:v1:{development/") or b"x" in key[20:25]}
    before = {key: redis_client.dump(key) for key in others}
    assert (await wipe()).code == 0
    assert {key: redis_client.dump(key) for key in others} == before
    left = {key.split(b":")[3] for key in _keys(redis_client) - others}
    assert left == {b"families", b"writer"}
    assert all(redis_client.ttl(key) > 0 for key in _keys(redis_client) - others)


async def test_with_the_records_nothing_is_left(
    start: Start, redis_url: str, redis_client: redis.Redis, wipe: Wipe
) -> None:
    """`--records` deletes everything; an instance that still runs sends its last batches again, as the help says."""
    instance = start(redis_url)
    await count(instance, 5)
    assert (await wipe("--records")).code == 0
    assert redis_client.keys("*") == []
    await count(instance)
    assert await jobs_total(instance) == 6


async def test_damage_goes_as_well(start: Start, redis_url: str, redis_client: redis.Redis, wipe: Wipe) -> None:
    """A foreign index, foreign keys and malformed entries do not stop a wipe, and counting works after it."""
    instance = start(redis_url)
    await count(instance, 2)
    [index] = redis_client.keys("*:families")
    [key] = redis_client.keys("*:series:jobs:*")
    redis_client.hset(index, "junk", "junk")
    redis_client.set(key, "mine")
    redis_client.set(b"kairo:v1:{development/0}:series:\xff", "mine")
    assert (await wipe()).code == 0
    await count(instance)
    assert await samples(instance.store, "jobs") == {'jobs_total{queue="a"}': 1}
    redis_client.delete(index)
    redis_client.set(index, "mine")
    assert (await wipe()).code == 0
    await count(start(redis_url))
    assert await jobs_total(instance) == 1


async def test_a_wipe_while_processes_count(start: Start, redis_url: str, wipe: Wipe) -> None:
    """Instances stay consistent during a wipe: the numbers of all families still agree."""
    reader = start(redis_url)
    workers = [start_worker(redis_url, 700) for _ in range(3)]
    wiped = 0.0
    while wiped < 100:
        wiped = (await samples(reader.store, "piece_size_bytes_count")).get("piece_size_bytes_count", 0.0)
    assert (await wipe()).code == 0
    for worker in workers:
        await asyncio.to_thread(finish, worker)
    found = await samples(reader.store, "")
    requests = found["piece_size_bytes_count"]
    everything = expected(700, 3)["piece_size_bytes_count"]
    assert 0 < requests <= everything - wiped
    assert found['piece_size_bytes_bucket{le="+Inf"}'] == requests
    assert found['pieces_total{kind="even"}'] + found['pieces_total{kind="odd"}'] == requests
    assert sum(value for sample, value in found.items() if sample.startswith("http_requests_total")) == requests
    # On a loaded machine a batch may miss its time limit and be sent again; that is no error.
    assert {sample for sample in troubles(found) if "duplicate" not in sample} == set()


@pytest.fixture
async def counted(start: Start, redis_url: str) -> Instance:
    """Let an instance count three jobs."""
    instance = start(redis_url)
    await count(instance, 3)
    return instance


async def test_a_dry_run_deletes_nothing(counted: Instance, wipe: Wipe) -> None:
    """`--dry-run` prints what would be deleted and deletes nothing, even with `--yes`."""
    shown = await wipe("--dry-run")
    assert shown.code == 0
    for text in ("namespace development at redis://127.0.0.1", "jobs", "2 keys with 2 series", "dry run"):
        assert text in shown.out
    assert await jobs_total(counted) == 3


async def test_without_a_terminal_nothing_is_deleted_unasked(
    counted: Instance, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script without `--yes` is refused with exit code 2."""
    monkeypatch.setattr("sys.stdin", io.StringIO("development\n"))
    shown = await asyncio.to_thread(command, "wipe")
    assert shown.code == 2
    assert "--yes" in shown.err
    assert await jobs_total(counted) == 3


@pytest.mark.parametrize(("answer", "code", "left"), [("development", 0, 0), ("yes", 1, 3), ("", 1, 3)])
async def test_on_a_terminal_the_namespace_is_typed(
    counted: Instance, redis_url: str, answer: str, code: int, left: float
) -> None:
    """Only typing the full name of the namespace deletes it; "yes" does not."""
    shown = await asyncio.to_thread(on_terminal, ["wipe"], {"REDIS_URL": redis_url}, answer, QUESTION)
    assert shown.code == code
    assert ("nothing was deleted" in shown.out) == bool(left)
    assert await jobs_total(counted) == left


async def test_wiping_nothing_is_no_error(wipe: Wipe) -> None:
    """An empty namespace is wiped without a question, and a second wipe succeeds too."""
    shown = await wipe("--json")
    assert (shown.code, shown.json["keys"], shown.json["deleted"]) == (0, 0, False)
    assert "nothing to delete" in (await wipe()).out


async def test_a_refused_deletion_deletes_nothing_by_halves(
    counted: Instance, redis_url: str, redis_client: redis.Redis, wipe: Wipe
) -> None:
    """A user without the right to delete gets an error, and nothing is changed."""
    redis_client.acl_setuser(
        "kairo", enabled=True, passwords=["+hush"], keys=["*"], categories=["+@all"], commands=["-unlink"]
    )
    try:
        shown = await wipe(REDIS_URL=redis_url.replace("//", "//kairo:hush@"))
    finally:
        redis_client.acl_deluser("kairo")
    assert shown.code == 1
    assert "unlink" in shown.err
    assert await jobs_total(counted) == 3


def test_records_do_not_go_with_a_family(command: Command) -> None:
    """Options that contradict each other are refused."""
    shown = command("wipe", "--family", "jobs", "--records", "--yes")
    assert shown.code == 2
    assert "--records" in shown.err


@pytest.fixture
def crowded(redis_client: redis.Redis) -> redis.Redis:
    """Fill the server with foreign keys."""
    with redis_client.pipeline() as pipeline:
        for number in range(20_000):
            pipeline.set(f"theirs:{number}", "x")
        pipeline.execute()
    return redis_client


async def test_our_keys_are_found_among_many(counted: Instance, crowded: redis.Redis, wipe: Wipe) -> None:
    """In a shared Redis only the keys of the namespace are deleted."""
    assert (await wipe("--json")).json["keys"] == 2
    assert await jobs_total(counted) == 0
    assert len(crowded.keys("theirs:*")) == 20_000


async def test_a_family_goes_whose_name_differs_in_a_blank_only(
    start: Start, redis_url: str, redis_client: redis.Redis, wipe: Wipe
) -> None:
    """`jobs done` is deleted, and the answer counts its key; `jobs:done` keeps its own."""
    instance = start(redis_url)
    blank, colon = (Schema(name, "counter") for name in ("jobs done", "jobs:done"))
    for schema in (blank, colon):
        instance.add("", schema=schema)
    await count(instance)
    output = await wipe("--family", "jobs done")
    assert (output.code, "deleted 1 key;" in output.out) == (0, True), output
    keys = Keys("development", 0)
    assert [redis_client.exists(keys.series(schema)) for schema in (blank, colon)] == [0, 1]
    assert [redis_client.hexists(keys.families, schema.index_field) for schema in (blank, colon)] == [False, True]
