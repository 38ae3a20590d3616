"""Scrapes from a replica: METRICS_READ_URL, with real replicas and real sentinels."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from lib.kairo_metrics.cli.doctor import replica_checks
from lib.kairo_metrics.cli.doctor.replica_checks import check_read_url
from lib.kairo_metrics.config.settings import Settings
from lib.kairo_metrics.dev.private_redis import find_binary, private_redis
from lib.kairo_metrics.errors import StoreError, StoreRefused, StoreUnavailable
from lib.kairo_metrics.store.connections.sentinel import Sentinels, find_server
from lib.kairo_metrics.store.connections.topology import Topology
from lib.kairo_metrics.store.replica import check_replica
from tests.support.doctor_run import Doctor, healthy
from tests.support.instance import JOBS, Start, jobs_total, scrape_once, settings
from tests.support.ports import free_port
from tests.support.redis_cluster import wait_until

AT_ONCE = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")


@contextmanager
def replica_of(port: int) -> Iterator[str]:
    """Run a replica of the server at that port."""
    with private_redis(free_port(), "--replicaof", "127.0.0.1", str(port), *AT_ONCE) as url:
        yield url


@pytest.fixture
def pair() -> Iterator[tuple[str, str, ExitStack]]:
    """Return the addresses of a master and of its replica, and an ExitStack that ends the master when it is closed."""
    port = free_port()
    with ExitStack() as stack:
        master = stack.enter_context(private_redis(port, *AT_ONCE))
        with replica_of(port) as replica:
            wait_until(lambda: replication_info(replica).get("master_link_status") == "up")
            yield master, replica, stack


def replication_info(url: str) -> dict[str, Any]:
    """Return the server's replication info."""
    with redis.Redis.from_url(url) as client:
        answer: dict[str, Any] = client.info("replication")
        return answer


def caught_up(master: str, replica: str) -> bool:
    """Tell whether the replica has all data of its master."""
    return bool(replication_info(master)["master_repl_offset"] == replication_info(replica)["slave_repl_offset"])


async def test_pages_come_from_the_replica_and_batches_go_to_the_master(
    pair: tuple[str, str, ExitStack], start: Start
) -> None:
    """A scrape sends the master only the commands that remove old data, and the replica gets no writes."""
    master, replica, _ = pair
    instance = start(master, read_url=replica, series_ttl_s=60)
    instance.add('queue="a"', 3)
    instance.add('queue="old"')
    await instance.flusher.aflush()
    client: Any = redis.Redis.from_url(master)
    [key] = client.keys("*:series:jobs:*")
    long_ago = b"%013d" % (time.time() * 1000 - 100_000)
    client.hset(key, 'queue="old"', b"1 %b %b" % (long_ago, long_ago))
    wait_until(lambda: caught_up(master, replica))
    client.config_resetstat()
    chosen = settings(master, read_url=replica, series_ttl_s=60)
    page = await scrape_once(instance.store, chosen, instance.flusher)
    jobs = next(family for family in page.families if family.schema == JOBS)
    assert dict(jobs.series) == {b'queue="a"': b"3"}
    sent = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    assert "eval" in sent
    assert "hscan" not in sent
    assert client.hkeys(key) == [b'queue="a"']
    client.close()


async def test_a_replica_without_its_master_fails_the_scrape(pair: tuple[str, str, ExitStack], start: Start) -> None:
    """A replica without its master has old numbers, so the scrape fails with the reason until it has a master again."""
    master, replica, stack = pair
    instance = start(master, read_url=replica)
    instance.add('queue="a"')
    await instance.flusher.aflush()
    wait_until(lambda: caught_up(master, replica))
    assert await jobs_total(instance) == 1
    stack.close()
    wait_until(lambda: replication_info(replica)["master_link_status"] == "down")
    with pytest.raises(StoreUnavailable, match="has lost its master"):
        await jobs_total(instance)
    with redis.Redis.from_url(replica) as client:
        client.replicaof("NO", "ONE")
    assert await jobs_total(instance) == 1, "it is a master itself now"


SYNCING = b"role:slave\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\nmaster_link_down_since_seconds:-1\r\n"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (SYNCING, "still copies"),
        (SYNCING.replace(b"progress:1", b"progress:0"), "has lost its master$"),
        (b"role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:45\r\n", "for 45 s"),
        (StoreRefused("Redis: NOPERM"), "does not tell .* NOPERM"),
        (b"", "does not tell"),
    ],
)
def test_an_incomplete_replica_is_not_served(reply: Any, reason: str) -> None:
    """No page is served from a replica that is still copying, is disconnected, or does not show its state."""
    with pytest.raises(StoreUnavailable, match=reason):
        check_replica(reply)


def test_doctor_checks_the_replica(pair: tuple[str, str, ExitStack], redis_url: str, doctor: Doctor) -> None:
    """`doctor` reports whether the replica belongs to the master, and why a page would be 503."""
    master, replica, stack = pair
    assert doctor(**healthy(master, METRICS_READ_URL=replica)).mark("replica") == "ok"
    assert "written to" in doctor(**healthy(master, METRICS_READ_URL=master)).text("replica")
    stranger = doctor(**healthy(redis_url, METRICS_READ_URL=replica))
    assert "follows another server" in stranger.text("replica")
    assert "else pages do not show what is counted" in stranger.text("replica")
    stack.close()
    wait_until(lambda: replication_info(replica)["master_link_status"] == "down")
    assert "lost its master" in doctor(**healthy(redis_url, METRICS_READ_URL=replica)).text("replica")
    closed = f"redis://127.0.0.1:{free_port()}"
    away = doctor(**healthy(redis_url, METRICS_READ_URL=closed))
    assert away.failed == {"replica", "families"}
    assert "correct METRICS_READ_URL, or unset it" in away.text("replica")
    assert "replica" not in doctor(**healthy(redis_url)).checks


def test_doctor_tells_a_replica_s_missing_right_and_a_cluster(redis_url: str, redis_client: redis.Redis) -> None:
    """A replica has users of its own; and a cluster is no replica that takes load off its masters."""
    redis_client.acl_setuser("reader", enabled=True, passwords=["+hush"], commands=["+@all", "-hscan"], keys=["*"])
    reading = redis_url.replace("//", "//reader:hush@")
    try:
        [found] = check_read_url(Settings(redis_url=redis_url, read_url=reading), 10)
    finally:
        redis_client.acl_deluser("reader")
    assert found.advice == "allow it on the replica, which has users of its own: +hscan"

    class Cluster:
        is_cluster = True

        @contextmanager
        def sync_client(self, **_: bool) -> Iterator[Any]:
            yield self

        def call(self, *_: object) -> list[bytes]:
            return [b""]

    clustered: Any = Cluster()
    assert "unset it: it takes no load off" in replica_checks._check(clustered, Settings()).advice


@contextmanager
def running_sentinel(replica: str, folder: Path, password: str = "") -> Iterator[int]:
    """Return the port of a sentinel that watches the master of a replica under the name `main`."""
    port, config = free_port(), folder / "sentinel.conf"
    master = replication_info(replica)["master_port"]
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {master} 1\n"
        "sentinel down-after-milliseconds main 400\nsentinel failover-timeout main 2000\n"
        + (f"requirepass {password}\n" if password else "")
    )
    server = subprocess.Popen([find_binary(), config, "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port, protocol=2, password=password or None) as client:
            wait_until(lambda: any(b"ok" in known for known in client.execute_command("SENTINEL", "REPLICAS", "main")))
        yield port
    finally:
        os.kill(server.pid, signal.SIGTERM)
        server.wait(10)


@pytest.fixture
def sentinel(pair: tuple[str, str, ExitStack], tmp_path: Path) -> Iterator[int]:
    """Return the port of a sentinel that watches the pair."""
    with running_sentinel(pair[1], tmp_path) as port:
        yield port


async def test_sentinels_say_where_to_write_and_where_to_read(
    pair: tuple[str, str, ExitStack], sentinel: int, start: Start
) -> None:
    """After a failover batches go to the new master, pages come from the servers that are left, and nothing is lost."""
    master, replica, stack = pair
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel}/main/3"
    instance = start(url, read_url=url)
    for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
        instance.add('queue="a"')
        await flush()
    wait_until(lambda: caught_up(master, replica))
    assert await jobs_total(instance) == 2
    with redis.Redis.from_url(replica) as client:
        assert "cmdstat_hscan" in client.info("commandstats")
        assert client.info("keyspace").keys() == {"db3"}
    stack.close()
    instance.add('queue="a"')
    with suppress(StoreError):  # on a slow machine the new master may already be chosen
        await instance.flusher.aflush()
    wait_until(lambda: replication_info(replica)["role"] == "master")
    await instance.flush_at_last()
    assert await jobs_total(instance) == 3


async def test_sentinels_may_have_their_own_login(
    pair: tuple[str, str, ExitStack], tmp_path: Path, start: Start, doctor: Doctor
) -> None:
    """The sentinels' login is at the end of the address; their error without it shows no password."""
    with running_sentinel(pair[1], tmp_path, "gu@rd") as port:
        url = f"redis+sentinel://127.0.0.1:{port}/main/3"
        instance = start(f"{url}?sentinel_password=gu%40rd")
        for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
            instance.add('queue="a"')
            await flush()
        assert await jobs_total(instance) == 2
        for wrong in (url, f"{url}?sentinel_password=whisper", f"{url}?sentinel_username=me&sentinel_password=whisper"):
            stranger = start(wrong)
            stranger.add('queue="a"')
            with pytest.raises(StoreUnavailable, match=r"sentinels gave no address .*(?i:auth|pass)") as caught:
                await stranger.flusher.aflush()
            assert "whisper" not in str(caught.value)
        report = await asyncio.to_thread(lambda: doctor(**healthy(url)))
        assert "?sentinel_username=...&sentinel_password=..." in report.text("redis")


def test_a_sentinel_does_not_get_the_login_of_redis() -> None:
    """The login before the hosts, and the database, are for Redis; the checks of certificates are for both."""
    url = "rediss+sentinel://kairo:hush@10.0.0.1,10.0.0.2/main/3?ssl_cert_reqs=none&db=3"
    own = "&sentinel_username=gu%3Ard&sentinel_password=low"
    for given, login in ((url, ""), (url + own, "gu%3Ard:low@")):
        known = Topology(given, settings(given))
        assert known.url_of(("10.0.0.2", 26379)) == f"rediss://{login}10.0.0.1?ssl_cert_reqs=none"
        assert known.url_of(("10.0.0.9", 6379)) == "rediss://kairo:hush@10.0.0.1/3?ssl_cert_reqs=none&db=3"


def test_a_sentinel_that_hangs_is_asked_last() -> None:
    """After a flush that timed out on one sentinel, the next flush begins with another one."""
    one, two = ("10.0.0.1", 26379), ("10.0.0.2", 26379)
    sentinels = Sentinels([one, two], "main", reading=False)
    finding = find_server(sentinels)
    assert list(next(finding)) == [one]
    finding.close()
    finding = find_server(sentinels)
    assert list(next(finding)) == [two]
    assert list(finding.send({two: [None]})) == [one]
    with pytest.raises(StoreUnavailable, match="know no service 'main'"):
        finding.send({one: [None]})
