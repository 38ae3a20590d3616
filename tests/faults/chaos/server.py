"""Faults of the server: it forgets scripts, comes up with an older state, or is replaced by a replica."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.faults.chaos.lab import Lab, LabInstance
from tests.support.proxy import Proxy
from tests.support.redis_process import RedisProcess

__all__ = [
    "failover",
    "failover_far_behind",
    "killed",
    "killed_and_a_writer_gone",
    "killed_far_behind",
    "killed_without_a_snapshot",
    "restarted",
    "script_flush",
]

# Batches that an instance keeps to send again, less those that notice or count a loss.
_HELD = 60
_MORE_THAN_HELD, _MUCH_MORE = (70, 90), (1_200, 3_000)
_REPLICA_WITHIN_S = 60.0


def script_flush(lab: Lab) -> None:
    """Redis forgets its scripts."""
    for _ in range(100 if lab.thorough else 10):
        lab.rounds()
        lab.server.client.script_flush()


def restarted(lab: Lab) -> None:
    """Redis is stopped and started again, and loses nothing."""
    for _ in range(10 if lab.thorough else 1):
        lab.rounds(3)
        lab.server.restart()


def _go_back(lab: Lab, batches: int) -> None:
    """Kill Redis with SIGKILL, and start it from a snapshot that lacks this number of each instance's batches."""
    lab.rounds(lab.chance.randrange(1, 5))
    lab.server.save()
    lab.rounds(batches)
    lab.server.kill_and_start()


def killed(lab: Lab) -> None:
    """Redis comes up some batches behind: each instance sends them again."""
    behind = [lab.chance.randrange(1, _HELD) for _ in range(10 if lab.thorough else 1)]
    for batches in behind:
        _go_back(lab, batches)
        lab.rounds()
    lab.books.facts.append(f"{', '.join(map(str, behind))} batches behind")


def killed_far_behind(lab: Lab) -> None:
    """Redis comes up further behind than instances keep: exactly what is missing is counted as lost."""
    batches = lab.chance.randrange(*(_MUCH_MORE if lab.thorough else _MORE_THAN_HELD))
    _go_back(lab, batches)
    lab.rounds()
    lab.books.facts.append(f"{batches} batches behind")


def killed_without_a_snapshot(lab: Lab) -> None:
    """Redis comes up empty: each instance sends all its batches again."""
    lab.rounds(lab.chance.randrange(1, _HELD))
    lab.server.kill_and_start()


def killed_and_a_writer_gone(lab: Lab) -> None:
    """Redis comes up behind after one instance has ended: only this instance's batches are missing."""
    lab.start()
    lab.rounds(2)
    lab.server.save()
    gone = lab.instances.pop()
    before = lab.books.sent.copy()
    _alone(gone, lab.chance.randrange(1, 30))
    lab.books.gone = lab.books.sent - before
    gone.close()
    lab.rounds(lab.chance.randrange(1, _HELD))
    lab.server.kill_and_start()
    lab.last_set = None


def _alone(instance: LabInstance, times: int) -> None:
    for _ in range(times):
        instance.record()
        instance.deliver()


def _fail_over(lab: Lab, batches: int) -> None:
    """Promote a replica that lacks the last batches, and forward instances to it."""
    lab.rounds(3)
    with TemporaryDirectory(prefix="kairo-replica-") as folder, Proxy(lab.server.url) as between:
        replica = lab.start_server(Path(folder))
        replica.client.replicaof(*between.address)
        _wait_until_replicated(lab, replica)
        between.refuse()
        between.cut()
        lab.rounds(batches)
        replica.client.replicaof("NO", "ONE")
        lab.server = replica
        lab.proxy.lead_to(replica.url)
        lab.rounds()
    lab.books.facts.append(f"the replica lagged {batches} batches")


def _wait_until_replicated(lab: Lab, replica: RedisProcess) -> None:
    deadline_s = time.monotonic() + _REPLICA_WITHIN_S
    while True:
        ours: Any = lab.server.client.info("replication")
        theirs: Any = replica.client.info("replication")
        if theirs["master_link_status"] == "up" and theirs["slave_repl_offset"] == ours["master_repl_offset"]:
            return
        assert time.monotonic() < deadline_s, f"the replica has not caught up: {theirs}"
        time.sleep(0.02)


def failover(lab: Lab) -> None:
    """The replica lacks some batches: each instance sends them again."""
    _fail_over(lab, lab.chance.randrange(1, _HELD))


def failover_far_behind(lab: Lab) -> None:
    """The replica lacks more batches than instances keep: exactly what is missing is counted as lost."""
    _fail_over(lab, lab.chance.randrange(*(_MUCH_MORE if lab.thorough else _MORE_THAN_HELD)))
