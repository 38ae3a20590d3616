"""A real Redis Cluster: three masters and their replicas, slots move, and masters die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from lib.kairo_metrics.errors import StoreError
from tests.faults.chaos.cluster_storm import Storm
from tests.support.command_run import Command
from tests.support.doctor_run import Doctor, healthy
from tests.support.instance import (
    Instance,
    Start,
    jobs_total,
    nonzero_samples,
    samples,
    scrape_once,
    settings,
    writing_to,
)
from tests.support.redis_cluster import ClusterNode, RedisCluster, redis_cluster, slot_of, wait_until
from tests.support.redis_users import RULES

NAMESPACE = "development"
FOR_CLUSTERS = ["+asking", "+cluster|slots"]
SHARDS = 6
KEPT_FOR_REPLAY = 64
# The client that counts a node's commands is one of its clients, and so is the node's master.
OWN_COMMANDS = {"evalsha", "eval", "cluster|slots", "cluster", "asking", "hgetall", "hscan", "time"}


@pytest.fixture(scope="module")
def running_cluster() -> Iterator[RedisCluster]:
    """Give a cluster for all tests of this file."""
    with redis_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(running_cluster: RedisCluster) -> RedisCluster:
    """Give the cluster, healthy and empty."""
    wait_until(running_cluster.is_well)
    running_cluster.empty()
    return running_cluster


def commands(cluster: RedisCluster) -> dict[str, int]:
    """Count the commands that clients have sent to all nodes."""
    counts: dict[str, int] = {}
    for node in cluster.living:
        for name, row in node.client.info("commandstats").items():
            command = name.removeprefix("cmdstat_")
            if command in OWN_COMMANDS:
                counts[command] = counts.get(command, 0) + row["calls"]
    return counts


async def test_shards_spread_over_the_nodes_and_add_up(cluster: RedisCluster, start: Start) -> None:
    """REDIS_URL may name any node, also a replica: the page shows every increment from event loops and threads."""
    instances = [start(node.url, shards=SHARDS) for node in cluster.nodes for _ in range(4)]
    for instance in instances:
        instance.add('queue="a"', 1.5)
        await instance.flusher.aflush()
        instance.add('queue="a"', 0.5)
        await asyncio.to_thread(instance.flusher.flush)
    assert [await jobs_total(instance) for instance in instances[::8]] == [48.0, 48.0, 48.0]
    assert all(master.client.dbsize() for master in cluster.masters)


async def test_a_warm_flush_is_one_command_to_the_right_node(cluster: RedisCluster, start: Start) -> None:
    """An instance learns a shard's node once; its new connections send the batch to this node at once."""
    owner = cluster.owner(NAMESPACE)
    stranger = next(node for node in cluster.nodes if node is not owner)
    instance = start(stranger.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    for node in cluster.nodes:
        node.client.config_resetstat()
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        instance.add('queue="a"')
        await flush()
    counted = {name: row["calls"] for name, row in owner.client.info("commandstats").items() if "eval" in name}
    assert counted == {"cmdstat_evalsha": 2}
    for node in cluster.masters:
        if node is not owner:
            assert not OWN_COMMANDS & {name.removeprefix("cmdstat_") for name in node.client.info("commandstats")}
    assert await jobs_total(instance) == 3


async def test_a_scrape_takes_few_round_trips(cluster: RedisCluster, start: Start) -> None:
    """A scrape reads each node's clock once, each shard's index once, and each small family once."""
    instance = start(cluster.nodes[0].url, shards=SHARDS)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    assert await jobs_total(instance) == 1
    families = len((await instance.store.snapshot()).entries)
    for node in cluster.nodes:
        node.client.config_resetstat()
    assert await jobs_total(instance) == 1
    owners = {cluster.owner(NAMESPACE, shard).port for shard in range(SHARDS)}
    counted = commands(cluster)
    assert (counted["time"], counted["hgetall"]) == (len(owners), SHARDS + families)
    assert "hscan" not in counted


async def test_a_moving_slot_loses_nothing(cluster: RedisCluster, start: Start) -> None:
    """Batches wait while their keys move, nothing is lost or counted twice, and pages stay correct."""
    source = cluster.owner(NAMESPACE)
    target = next(node for node in cluster.masters if node is not source)
    old, new = start(cluster.nodes[0].url), start(source.url)
    for _ in range(3):
        old.add('queue="a"')
        await old.flusher.aflush()
    with cluster.moving(slot_of(NAMESPACE), target, source) as move_keys:
        sent = 3
        for _ in range(8):
            for instance in (old, new):
                instance.add('queue="a"')
                sent += 1
                await attempt(instance)
            assert 3 <= await jobs_total(old) <= sent
            move_keys(1)
    assert cluster.owner(NAMESPACE, seen_by=target) is target
    for instance in (old, new):
        await instance.flush_at_last()
    assert await jobs_total(new) == sent
    assert await nonzero_samples(new.store, "kairo_samples_lost_total") == {}


async def test_a_family_that_moves_during_a_scrape_is_read_completely(cluster: RedisCluster, start: Start) -> None:
    """A cursor is valid on one node only, so a long hash that moves is read from its beginning on the new node."""
    source = cluster.owner(NAMESPACE)
    target = next(node for node in cluster.masters if node is not source)
    instance = start(source.url)
    for number in range(4_000):
        instance.add(f'queue="{number}"')
    await instance.flusher.aflush()
    [entry] = [entry for entry in (await instance.store.snapshot()).entries if entry.schema.name == "jobs"]
    found: set[bytes] = set()
    chunks = 0
    async for _, items in instance.store.scan([entry]):
        chunks += 1
        found.update((items or [])[::2])
        if chunks == 1:
            cluster.move(slot_of(NAMESPACE), target, source)
    assert len(found) == 4_000


async def test_a_master_dies_before_its_replica_has_everything(cluster: RedisCluster, start: Start) -> None:
    """The replica takes over, writers send it again what it lacks, and the page is exact."""
    master = cluster.owner(NAMESPACE)
    replica = cluster.replica_of(master)
    other = next(node for node in cluster.nodes if node not in {master, replica})
    instances = [start(url) for url in (other.url, f"{master.url},127.0.0.1:{other.port}")]
    for instance in instances:
        instance.add('queue="a"')
        await instance.flusher.aflush()
    wait_until(lambda: master.is_copied)
    with unreplicated(master, replica):
        for _ in range(5):
            for instance in instances:
                instance.add('queue="a"')
                await instance.flusher.aflush()
        assert await jobs_total(instances[0]) == 12
        master.kill()
    for instance in instances:
        instance.add('queue="a"')
        with contextlib.suppress(StoreError):  # on a slow machine the replica may have taken over already
            await instance.flusher.aflush()
    wait_until(lambda: replica.is_master)
    for instance in instances:
        await instance.flush_at_last()
    assert await jobs_total(instances[0]) == 14
    assert await nonzero_samples(instances[1].store, "kairo_samples_lost_total") == {}
    cluster.heal()


async def test_a_master_that_hangs_costs_one_flush(cluster: RedisCluster, start: Start) -> None:
    """If a host vanishes silently, one flush spends its budget; the next one asks other nodes for the new master."""
    master = cluster.owner(NAMESPACE)
    replica = cluster.replica_of(master)
    other = next(node for node in cluster.nodes if node not in {master, replica})
    instance, thread = (start(other.url, flush_budget_ms=400) for _ in range(2))
    for writer in (instance, thread):
        writer.add('queue="a"')
        await writer.flush_at_last()
    wait_until(lambda: master.is_copied)
    pid = master.client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for writer in (instance, thread):
            writer.add('queue="a"')
            with pytest.raises(StoreError, match=r"took longer|in time|no time left"):
                await (writer.flusher.aflush() if writer is instance else asyncio.to_thread(writer.flusher.flush))
        others = [node for node in cluster.nodes if node is not master]
        wait_until(lambda: all(cluster.owner(NAMESPACE, seen_by=node) is replica for node in others))
        await instance.flush_at_last()
        while thread.flusher.pending:  # on a busy machine one budget may not be enough
            with contextlib.suppress(StoreError):
                await asyncio.to_thread(thread.flusher.flush)
        assert await jobs_total(instance) == 4
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_old_series_are_removed_on_their_node(cluster: RedisCluster, start: Start) -> None:
    """A scrape removes old series on the node that holds them."""
    owner = cluster.owner(NAMESPACE)
    instance = start(next(node for node in cluster.masters if node is not owner).url, series_ttl_s=60)
    instance.add('queue="old"')
    await instance.flusher.aflush()
    [key] = owner.client.keys("*:series:jobs:*")
    long_ago = b"%013d" % (time.time() * 1000 - 100_000)
    owner.client.hset(key, 'queue="old"', b"1 %b %b" % (long_ago, long_ago))
    await scrape_once(instance.store, settings(owner.url, series_ttl_s=60), instance.flusher)
    assert not owner.client.exists(key)


async def test_what_cannot_be_sent_again_is_counted_as_lost(cluster: RedisCluster, start: Start) -> None:
    """If a replica lacks more than a writer keeps, applied and lost add up to what was sent."""
    master = cluster.owner(NAMESPACE)
    replica = cluster.replica_of(master)
    other = next(node for node in cluster.nodes if node not in {master, replica})
    instance = start(other.url)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    wait_until(lambda: master.is_copied)
    with unreplicated(master, replica):
        for _ in range(KEPT_FOR_REPLAY + 10):
            instance.add('queue="a"')
            await instance.flusher.aflush()
        master.kill()
    wait_until(lambda: all(cluster.owner(NAMESPACE, seen_by=node) is replica for node in cluster.living))
    assert await jobs_total(instance) == 1, "until the writer sends again, the store is older"
    instance.add('queue="a"')
    await instance.flush_at_last()
    await instance.flusher.aflush()  # the next batch counts what was lost
    lost = await samples(instance.store, 'kairo_samples_lost_total{family="jobs"}')
    assert sum(lost.values()) > 0
    assert await jobs_total(instance) + sum(lost.values()) == KEPT_FOR_REPLAY + 12
    cluster.heal()


@pytest.mark.parametrize("right", ["", "+asking", "+cluster|slots"])
async def test_a_user_needs_two_more_rights(
    full: str, cluster: RedisCluster, command: Command, doctor: Doctor, right: str
) -> None:
    """With the documented rights for a cluster everything works; without one of the two, doctor names it."""
    rules = [rule for rule in [*RULES["kairo"], *FOR_CLUSTERS] if rule != right]
    rules = [rule.replace("{production/", "{development/") for rule in rules]
    wiping = [rule.replace("{production/", "{development/") for rule in RULES["kairo-wipe"]]
    for node in cluster.nodes:
        node.ask("ACL", "SETUSER", "kairo", *rules)
        node.ask("ACL", "SETUSER", "kairo-wipe", *wiping, *([] if right == "+cluster|slots" else ["+cluster|slots"]))
    limited = full.replace("//", "//kairo:PASSWORD@")
    report = await asyncio.to_thread(lambda: doctor(**healthy(limited, METRICS_SHARDS=str(SHARDS))))
    assert report.failed == ({"rights"} if right else set())
    assert right in report.text("rights")
    output = await asyncio.to_thread(
        command, "wipe", "--dry-run", REDIS_URL=full.replace("//", "//kairo-wipe:PASSWORD@")
    )
    assert ("may not ask for its nodes" in output.err) == (right == "+cluster|slots")


async def attempt(instance: Instance) -> None:
    """Flush; if that fails, the batch waits."""
    with contextlib.suppress(StoreError):
        await instance.flusher.aflush()


class unreplicated:  # noqa: N801  reads as a word
    """Stop the replication to a replica while the `with` block runs."""

    def __init__(self, master: ClusterNode, replica: ClusterNode) -> None:
        self._master = master
        self._pid: int = replica.client.info("server")["process_id"]

    def __enter__(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)
        self._master.ask("CLIENT", "KILL", "TYPE", "replica")

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGCONT)


async def test_everything_at_once(cluster: RedisCluster) -> None:
    """While slots move, a master dies, connections break and scripts are forgotten, pages and the sum are right."""
    tally = await Storm(cluster, seed=1).run(1)
    assert tally.broken.keys() == {"slot", "master", "cut", "script"}
    assert tally.faults() == [], str(tally)
    assert tally.pages
    assert (tally.shown, tally.lost) == (tally.recorded, 0)


@pytest.fixture
def full(cluster: RedisCluster) -> str:
    """Give the address of a cluster in which every shard has data."""
    url = next(node for node in cluster.replicas).url
    for shard in range(SHARDS):
        instance = writing_to(shard, SHARDS, url)
        instance.add(f'queue="{shard}"')
        instance.flusher.flush()
        asyncio.run(instance.close())
    assert all(any(b"series:jobs" in key for key in master.client.keys("*")) for master in cluster.masters)
    return url


def test_the_commands_work_on_all_nodes(full: str, cluster: RedisCluster, command: Command, doctor: Doctor) -> None:
    """`doctor`, `series` and `show` read every shard on its node, and `wipe` deletes it there."""
    environment = {"REDIS_URL": full, "METRICS_SHARDS": str(SHARDS)}
    report = doctor(**healthy(full, METRICS_SHARDS=str(SHARDS)))
    assert {check: mark for check, (mark, *_) in report.checks.items() if mark != "ok"} == {}
    listed = {family["family"]: family for family in command("series", "--json", **environment).json["families"]}
    assert listed["jobs"]["series"] == SHARDS
    shown = command("show", "jobs_total", **environment)
    assert shown.code == 0
    assert sum(f"{shard}" in shown.out for shard in range(SHARDS)) == SHARDS
    wiped = command("wipe", "--yes", **environment)
    assert (wiped.code, wiped.err) == (0, "")
    assert [key for node in cluster.masters for key in node.client.keys("*series*")] == []
