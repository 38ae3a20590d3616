"""Writers, scrapes and faults of a real Redis Cluster at the same time; at the end the sums must be exact.

    python -m tests.faults.chaos.cluster_storm --seconds 120 --seed 7

Slots move, masters are killed and replaced, connections are cut and scripts forgotten. The seed sets the order.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.progress import Progress

from lib.kairo_metrics.errors import StoreError
from tests.support.instance import nonzero_samples, redis_instance
from tests.support.redis_cluster import RedisCluster, redis_cluster, slot_of, wait_until

__all__ = ["Storm", "Tally"]

NAMESPACE = "development"
SHARDS = 6


@dataclass
class Tally:
    """The result of a storm.

    Args:
        recorded: what writers have counted.
        acknowledged: what treplica successful flushes have delivered, by writer.
        broken: how often each fault nonzero_samples.
        pages: the number of successful scrapes; `refused`: of failed ones.
        wrong: pages that showed more than was recorded, or less than was acknowledged.
        shown: the total on the last page; `lost`: what it counts as lost.
    """

    recorded: int = 0
    acknowledged: dict[int, int] = field(default_factory=dict)
    broken: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    shown: float = 0.0
    lost: float = 0.0

    def __str__(self) -> str:
        broken = ", ".join(f"{count} {name}" for name, count in sorted(self.broken.items()))
        return (
            f"{self.recorded} recorded = {self.shown:g} shown + {self.lost:g} lost; {self.pages} pages, "
            f"{len(self.wrong)} of them wrong, {self.refused} refused; {broken}"
        )

    def faults(self) -> list[str]:
        """Return the failures."""
        found = [f"a page showed {wrong}" for wrong in self.wrong]
        if self.shown + self.lost != self.recorded:
            found.append(f"{self.shown + self.lost - self.recorded:+g} compared with {self.recorded} recorded")
        return found


class Storm:
    """One run of a storm.

    Args:
        cluster: a healthy and empty cluster.
        seed: sets the order of faults.
        writers: the number of writing instances.
    """

    def __init__(self, cluster: RedisCluster, seed: int, writers: int = 6) -> None:
        self.tally = Tally()
        self._cluster = cluster
        self._random = random.Random(seed)
        nodes = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes[:2])
        self._writers = [redis_instance(f"redis://{nodes}", shards=SHARDS) for _ in range(writers)]
        self._reader = redis_instance(f"redis://{nodes}", shards=SHARDS)
        self._over = False
        # Writers without a successful flush since a master died: until then a page may show less than before.
        self._unconfirmed: set[int] = set()
        self._deaths = 0

    async def run(self, seconds: float, tick: Callable[[float], None] = lambda _share: None) -> Tally:
        """Write, scrape and cause faults for this time, and then let all writers deliver what is pending.

        Args:
            seconds: the duration of the faults.
            tick: called now and then with the share that is done.
        """
        writing = [asyncio.create_task(self._write(number)) for number in range(len(self._writers))]
        scraping = asyncio.create_task(self._scrape())
        deadline_s = time.monotonic() + seconds
        kinds: dict[str, Callable[[], None]] = {
            "slot": self._move_slot,
            "master": self._kill_master,
            "cut": self._cut,
            "script": self._forget_scripts,
        }
        while (left_s := deadline_s - time.monotonic()) > 0:
            tick(1 - left_s / seconds)
            for fault in self._random.sample(list(kinds), len(kinds)):
                await asyncio.to_thread(kinds[fault])
                self.tally.broken[fault] += 1
                await asyncio.sleep(self._random.uniform(0.05, 0.3))
        self._over = True
        await asyncio.gather(*writing, scraping)
        await asyncio.to_thread(wait_until, self._cluster.is_well)
        for writer in self._writers:
            for _ in range(2):  # the next batch counts what was lost
                writer.add('queue="a"')
                self.tally.recorded += 1
                await writer.flush_at_last()
        self.tally.shown = sum((await nonzero_samples(self._reader.store, "jobs_total")).values())
        lost = await nonzero_samples(self._reader.store, 'kairo_samples_lost_total{family="jobs"}')
        self.tally.lost = sum(lost.values())
        for instance in (*self._writers, self._reader):
            await instance.close()
        return self.tally

    async def _write(self, number: int) -> None:
        writer, counted = self._writers[number], 0
        while not self._over:
            writer.add('queue="a"')
            counted += 1
            self.tally.recorded += 1
            before, deaths = counted, self._deaths
            with contextlib.suppress(StoreError):
                await writer.flusher.aflush()
                self.tally.acknowledged[number] = before
                if deaths == self._deaths:
                    self._unconfirmed.discard(number)
            await asyncio.sleep(0.005)

    async def _scrape(self) -> None:
        while not self._over:
            least, doubtful = sum(self.tally.acknowledged.values()), bool(self._unconfirmed)
            try:
                async with asyncio.timeout(5):
                    shown = sum((await nonzero_samples(self._reader.store, "jobs_total")).values())
            except (StoreError, TimeoutError):
                self.tally.refused += 1
            else:
                doubtful = doubtful or bool(self._unconfirmed)
                if shown > self.tally.recorded or (shown < least and not doubtful):
                    self.tally.wrong.append(f"{shown}, expected {least} to {self.tally.recorded}")
                self.tally.pages += 1
            await asyncio.sleep(0.02)

    def _move_slot(self) -> None:
        shard = self._random.randrange(SHARDS)
        source = self._cluster.owner(NAMESPACE, shard)
        target = self._random.choice([master for master in self._cluster.masters if master is not source])
        with self._cluster.moving(slot_of(NAMESPACE, shard), target, source) as move_keys:
            for _ in range(4):
                move_keys(2)
                time.sleep(0.03)

    def _kill_master(self) -> None:
        wait_until(self._cluster.is_well)
        master = self._cluster.owner(NAMESPACE, self._random.randrange(SHARDS))
        replica = self._cluster.replica_of(master)
        self._unconfirmed.update(range(len(self._writers)))
        master.kill()
        self._deaths += 1
        wait_until(lambda: replica.is_master)
        self._cluster.heal()

    def _cut(self) -> None:
        for node in self._cluster.masters:
            node.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def _forget_scripts(self) -> None:
        for node in self._cluster.masters:
            node.client.script_flush()


def main() -> int:
    """Run one storm, and print its result; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos.cluster_storm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the faults")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="sets the order of faults")
    asked = parser.parse_args()
    with Progress() as progress, redis_cluster() as cluster:
        task = progress.add_task("storm", total=1)
        storm = Storm(cluster, asked.seed)
        tally = asyncio.run(storm.run(asked.seconds, lambda share: progress.update(task, completed=share)))
        progress.update(task, completed=1)
    faults = tally.faults()
    sys.stdout.write("\n".join([f"seed {asked.seed}: {tally}", *(f"FAILED  {fault}" for fault in faults[:10]), ""]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
