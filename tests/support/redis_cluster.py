"""A real Redis Cluster on the loopback address: three masters, three replicas; tests move slots and kill nodes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.crc import key_slot

from lib.kairo_metrics.dev.private_redis import private_redis
from lib.kairo_metrics.store.keys import Keys

__all__ = ["ClusterNode", "RedisCluster", "node_port", "redis_cluster", "slot_of", "wait_until"]

_HOST = "127.0.0.1"
_BUS = 10_000  # the distance between a node's port and its cluster bus port
_SLOTS = 16_384
_MASTERS = 3
_PATIENCE_S = 30.0
_OPTIONS = (
    *("--cluster-enabled", "yes"),
    *("--cluster-node-timeout", "1500"),
    *("--cluster-replica-validity-factor", "0"),
    *("--repl-diskless-sync", "yes"),
    *("--repl-diskless-sync-delay", "0"),
)


@dataclass(eq=False)
class ClusterNode:
    """One server of the cluster, and a client of this server only."""

    port: int
    client: Any
    stack: contextlib.ExitStack
    id: str = ""
    alive: bool = True

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://{_HOST}:{self.port}"

    @property
    def is_master(self) -> bool:
        """Whether it is a master now."""
        return bool(self.client.info("replication")["role"] == "master")

    @property
    def is_followed(self) -> bool:
        """Whether a connected replica follows this master."""
        return any(replica["state"] == "online" for replica in self._replicas())

    @property
    def is_copied(self) -> bool:
        """Whether a replica has all that this master has written."""
        offset = self.client.info("replication")["master_repl_offset"]
        return any(replica["offset"] == offset for replica in self._replicas())

    def _replicas(self) -> list[dict[str, Any]]:
        items = self.client.info("replication").items()
        return [replica for name, replica in items if name.startswith("slave") and isinstance(replica, dict)]

    def ask(self, *words: str | int) -> Any:
        """Send a command, and return the raw reply."""
        return self.client.execute_command(*words)

    def kill(self) -> None:
        """Kill it, as the kernel does when memory is short."""
        os.kill(self.client.info("server")["process_id"], signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """End it, and close its connections."""
        self.alive = False
        self.client.close()
        self.stack.close()


@dataclass(eq=False)
class RedisCluster:
    """A running cluster, and what tests do with it."""

    nodes: list[ClusterNode] = field(default_factory=list)

    @property
    def living(self) -> list[ClusterNode]:
        """The nodes that run."""
        return [node for node in self.nodes if node.alive]

    @property
    def masters(self) -> list[ClusterNode]:
        """The nodes that hold slots."""
        return [node for node in self.living if node.is_master]

    @property
    def replicas(self) -> list[ClusterNode]:
        """The nodes that follow a master."""
        return [node for node in self.living if not node.is_master]

    def owner(self, namespace: str, shard: int = 0, *, seen_by: ClusterNode | None = None) -> ClusterNode:
        """Return the node that holds a shard, as another node sees it."""
        slot = slot_of(namespace, shard)
        ranges = (seen_by or self.living[0]).ask("CLUSTER", "SLOTS")
        [port] = [nodes[0][1] for first, last, *nodes in ranges if first <= slot <= last]
        return next(node for node in self.nodes if node.port == port)

    def replica_of(self, master: ClusterNode) -> ClusterNode:
        """Return the replica of a master."""
        return next(node for node in self.replicas if node.client.info("replication")["master_port"] == master.port)

    def empty(self) -> None:
        """Delete all keys and scripts, those of replicas too, and reset the nodes' counts of commands."""
        for node in self.masters:
            node.client.flushall()
        wait_until(lambda: not any(node.client.dbsize() for node in self.living))
        for node in self.living:
            node.client.script_flush()
            node.client.config_resetstat()

    @contextlib.contextmanager
    def moving(self, slot: int, target: ClusterNode, source: ClusterNode) -> Iterator[Callable[[int], None]]:
        """Keep a slot in migration while the `with` block runs; give a function that moves its keys."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

        def move_keys(most: int) -> None:
            keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, most)
            if keys:
                source.ask("MIGRATE", _HOST, target.port, "", 0, 5_000, "KEYS", *keys)

        yield move_keys
        while source.ask("CLUSTER", "COUNTKEYSINSLOT", slot):
            move_keys(1_000)
        for node in (target, source, *[node for node in self.masters if node not in {target, source}]):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def move(self, slot: int, target: ClusterNode, source: ClusterNode) -> None:
        """Move a slot and its keys to another master."""
        with self.moving(slot, target, source):
            pass

    def heal(self) -> None:
        """Give a new replica to every master without one, and remove dead nodes from all nodes' tables."""
        gone = [node for node in self.nodes if not node.alive]
        self.nodes = self.living
        for node in self.nodes:
            for lost in gone:
                with contextlib.suppress(redis.ResponseError):  # this node has never known the dead one
                    node.ask("CLUSTER", "FORGET", lost.id)
        followed = {node.client.info("replication")["master_port"] for node in self.replicas}
        for master in [node for node in self.masters if node.port not in followed]:
            self._join([self.start()])
            self._follow(self.nodes[-1], master)
        wait_until(self.is_well)

    def start(self, port: int = 0, *options: str) -> ClusterNode:
        """Start a node, which knows no other node yet."""
        stack = contextlib.ExitStack()
        port = port or node_port()
        stack.enter_context(private_redis(port, *_OPTIONS, *options))
        client: Any = redis.Redis(_HOST, port, protocol=2)
        self.nodes.append(ClusterNode(port, client, stack, client.execute_command("CLUSTER", "MYID").decode()))
        return self.nodes[-1]

    def build(self) -> None:
        """Start the nodes, and join them to a cluster."""
        for _ in range(2 * _MASTERS):
            self.start()
        masters, replicas = self.nodes[:_MASTERS], self.nodes[_MASTERS:]
        for place, master in enumerate(masters):
            master.ask("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            master.ask("CLUSTER", "ADDSLOTS", *range(place * _SLOTS // 3, (place + 1) * _SLOTS // 3))
        self._join(self.nodes)
        for replica, master in zip(replicas, masters, strict=True):
            self._follow(replica, master)
        wait_until(self.is_well)

    def is_well(self) -> bool:
        """Tell whether every node sees a complete cluster, and every master has a replica."""
        return (
            all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in self.living)
            and len(self.masters) == _MASTERS == len(self.replicas)
            and all(master.is_followed for master in self.masters)
            and len({str(sorted(node.ask("CLUSTER", "SLOTS"))) for node in self.living}) == 1
        )

    def _join(self, newcomers: Sequence[ClusterNode]) -> None:
        for newcomer in newcomers:
            for node in self.nodes:
                if node is not newcomer:
                    newcomer.ask("CLUSTER", "MEET", _HOST, node.port)
        wait_until(
            lambda: all(len(node.ask("CLUSTER", "NODES").splitlines()) == len(self.nodes) for node in self.nodes)
        )

    def _follow(self, replica: ClusterNode, master: ClusterNode) -> None:
        wait_until(lambda: master.id in str(replica.ask("CLUSTER", "NODES")))
        replica.ask("CLUSTER", "REPLICATE", master.id)


@contextlib.contextmanager
def redis_cluster() -> Iterator[RedisCluster]:
    """Run a cluster while the `with` block runs."""
    cluster = RedisCluster()
    try:
        cluster.build()
        yield cluster
    finally:
        for node in cluster.living:
            node.close()


def slot_of(namespace: str, shard: int = 0) -> int:
    """Return the hash slot of a shard."""
    slot: int = key_slot(Keys(namespace, shard).families.encode())
    return slot


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not _holds(holds):
        assert time.monotonic() < deadline_s, "the cluster does not become healthy"
        time.sleep(0.02)


def _holds(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except (redis.RedisError, StopIteration):
        return False


def node_port() -> int:
    """Return a free port whose cluster bus port is free, too."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind((_HOST, port))
            other.bind((_HOST, port + _BUS))
            return port
