"""A Redis Cluster with TLS and a login: further nodes are checked as strictly as the first one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from lib.kairo_metrics.errors import StoreError
from tests.support.instance import Start, jobs_total
from tests.support.redis_cluster import RedisCluster, node_port, slot_of, wait_until
from tests.support.tls_front import TlsFront

HALF, ALL = 8_192, 16_384


@contextmanager
def two_masters(*names: str) -> Iterator[list[TlsFront]]:
    """Run a cluster of two nodes that are reached through TLS servers; the second one's certificate is for `names`."""
    with ExitStack() as stack:
        cluster = RedisCluster()
        fronts = []
        for place, slots in enumerate((range(HALF), range(HALF, ALL))):
            port = node_port()
            fronts.append(stack.enter_context(TlsFront(f"redis://127.0.0.1:{port}", *(names if place else ()))))
            announced = ("--cluster-announce-port", str(urlsplit(fronts[-1].url).port))
            node = cluster.start(port, *announced, "--cluster-announce-bus-port", str(port + 10_000))
            stack.callback(node.close)
            node.ask("ACL", "SETUSER", "kairo", "on", ">hush", "~*", "+@all")
            node.ask("CLUSTER", "ADDSLOTS", *slots)
        one, two = cluster.nodes
        one.ask("CLUSTER", "MEET", "127.0.0.1", two.port, two.port + 10_000)
        wait_until(lambda: all(_is_known(node.ask("CLUSTER", "SLOTS"), fronts) for node in cluster.nodes))
        wait_until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in cluster.nodes))
        for node in cluster.nodes:
            node.ask("ACL", "SETUSER", "default", "off")
        yield fronts


def _is_known(slots: Any, fronts: list[TlsFront]) -> bool:
    return {nodes[0][1] for _, _, *nodes in slots} == {urlsplit(front.url).port for front in fronts}


def namespace_on_the_second() -> str:
    """Return a namespace whose first shard is on the second node."""
    return next(name for name in map(str, range(100)) if slot_of(name) >= HALF)


async def test_trust_and_login_are_for_all_nodes(start: Start) -> None:
    """The second node is reached with TLS, its certificate is checked for its own host, and it gets the login."""
    with two_masters() as (one, two):
        url = one.url.replace("//", "//kairo:hush@")
        instance = start(url, redis_tls_ca=one.authority + two.authority, namespace=namespace_on_the_second())
        for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
            instance.add('queue="a"')
            await flush()
        assert await jobs_total(instance) == 2
        await instance.close()


async def test_an_impostor_among_the_nodes_gets_nothing(start: Start) -> None:
    """A node with a certificate for another name does not get the login, and the error says why."""
    with two_masters("redis.example.org") as (one, two):
        url = one.url.replace("//", "//kairo:hush@")
        instance = start(url, redis_tls_ca=one.authority + two.authority, namespace=namespace_on_the_second())
        for flush in (instance.flusher.aflush, lambda: asyncio.to_thread(instance.flusher.flush)):
            instance.add('queue="a"')
            with pytest.raises(StoreError, match=r"not trusted .*IP address mismatch"):
                await flush()
        await instance.close()
