"""The delivery protocol under a virtual clock and network, and whether the simulation finds broken protocols."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lib.kairo_metrics.delivery import outbox
from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.instruments.recorder import Recorder
from lib.kairo_metrics.scrape import merge
from lib.kairo_metrics.scrape.rollback import lack
from lib.kairo_metrics.scrape.rollback.high_water import HighWater
from lib.kairo_metrics.testing import memory_store
from lib.kairo_metrics.testing.memory_store import MemoryStore
from tests.faults.simulation.__main__ import main, run_all
from tests.faults.simulation.instance import SharedClaim
from tests.faults.simulation.schedule import STEPS, Failure, run
from tests.faults.simulation.server import Server

SCHEDULES = 200
SEEDS_TO_FIND_A_FAULT = 2_000
# Where to begin: the first seeds do not find these faults, and trying them all would take half a minute.
FIRST_SEED = {
    "an outbox that sends a batch without a reply under another id": 60,
    "an outbox that treats a lost state as an evicted record": 30,
    "an outbox that loses counts of earlier losses": 60,
    "a page that shows only what the store still has": 60,
    "a page that takes each restart for a loss": 230,
    "a page that adds what stands in the overflow series": 70,
    "a store that does not report that it went back": 1_090,
}


def test_nothing_is_lost_unseen_or_counted_twice_in_any_schedule() -> None:
    """With any order of writes, faults, rollbacks and scrapes, every amount is accounted for after each step."""
    failures: dict[int, str] = {}
    for _, outcome in run_all(range(SCHEDULES), os.cpu_count() or 1):
        failures |= outcome.failures
    assert failures == {}


def forgetful(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Make a server apply a batch again that it has applied before."""

    def applied_again(self: Server, writer: Any, batch: Any) -> Any:
        writers = self.shards[writer.shard].writers
        if record := writers.get(writer.id):
            writers[writer.id] = record._replace(seq=min(record.seq, batch.seq - 1))
        return apply(self, writer, batch)

    return applied_again


def halving(apply_family: Callable[..., Any]) -> Callable[..., Any]:
    """Make a store skip the histograms of a batch."""

    def all_but_histograms(self: MemoryStore, shard: Any, delta: Any, *times: int) -> None:
        if delta.schema.type != "histogram":
            apply_family(self, shard, delta, *times)

    return all_but_histograms


def taken_again(claim: SharedClaim) -> bool:
    """Let every process take a claim."""
    claim.is_taken = True
    return True


FAULTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "a store that does not check for duplicates": lambda: mock.patch.object(Server, "_apply", forgetful(Server._apply)),
    "a store that applies half of a batch": lambda: mock.patch.object(
        MemoryStore, "_apply_family", halving(MemoryStore._apply_family)
    ),
    "an outbox that sends a batch without a reply under another id": lambda: mock.patch.object(Outbox, "mark_sent"),
    "an outbox that treats an evicted record as a lost state": lambda: mock.patch.object(
        Outbox, "_continues_as", return_value=False
    ),
    "an outbox that treats a lost state as an evicted record": lambda: mock.patch.object(
        Outbox, "_continues_as", return_value=True
    ),
    "a store that dates settings without those before": lambda: mock.patch.object(
        memory_store._Settings, "date", lambda dates, age_ms, **_: dates._sealed_at_ms - age_ms
    ),
    "a fork whose child sends what its parent sends, too": lambda: mock.patch.object(
        SharedClaim, "__call__", taken_again
    ),
    "a fork that drops what no process takes": lambda: mock.patch.object(Recorder, "inherit", Recorder.forget),
    "an outbox that keeps nothing for a store that goes back": lambda: mock.patch.object(Outbox, "_keep"),
    "an outbox that does not count what it loses": lambda: mock.patch.object(Outbox, "_count_lost"),
    "an outbox that loses counts of earlier losses": lambda: mock.patch.object(
        outbox, "_weights", lambda families: ((delta.schema.name, delta.weight) for delta in families)
    ),
    "a page that shows only what the store still has": lambda: mock.patch.object(HighWater, "missing", return_value={}),
    "a page that takes each restart for a loss": lambda: mock.patch.object(lack, "has_lost", return_value=True),
    "a page that adds what stands in the overflow series": lambda: mock.patch.object(
        lack, "_has_moved", return_value=False
    ),
    "a store that does not report that it went back": lambda: mock.patch.object(
        memory_store, "account_after", side_effect=lambda before, *_: (before, False)
    ),
    "a collector that shows one shard of many": lambda: mock.patch.object(
        merge, "merge_series", lambda _schema, parts: dict(parts[-1]) if parts else {}
    ),
}


def first_failure(fault: str) -> Failure:
    """Run schedules until one fails."""
    for seed in range(FIRST_SEED.get(fault, 0), SEEDS_TO_FIND_A_FAULT):
        try:
            run(seed)
        except Failure as err:
            return err
    pytest.fail("no schedule finds it")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_protocol_is_found(fault: str) -> None:
    """The simulation can fail: it finds each way to break the protocol, and a seed fails at the same step again."""
    with FAULTS[fault]():
        found = first_failure(fault)
        with pytest.raises(Failure) as again:
            run(found.seed, found.step)
        run(found.seed, found.step - 1)
    assert (again.value.step, again.value.trace) == (found.step, found.trace)
    assert f"--seed {found.seed} --steps {found.step}" in str(found)


def test_a_seed_is_the_same_schedule_in_every_process() -> None:
    """A failure on one machine can be repeated on another, since nothing depends on the order of a set."""
    command = [sys.executable, "-m", "tests.faults.simulation", "--seed", "7"]
    shown = [
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    ]
    assert shown[0] == shown[1]
    assert shown[0].count(b"-- ") == STEPS


def test_a_failing_schedule_is_shown_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report of many schedules has the seed of each failed one, and the command that shows it."""
    page = tmp_path / "reports" / "simulation.txt"
    fault = "an outbox that does not count what it loses"
    with FAULTS[fault]():
        found = first_failure(fault)
        assert main(["--seed", str(found.seed), "--steps", str(found.step)]) == 1
        assert f"step {found.step} failed" in capsys.readouterr().out
        many = ["--seed", str(found.seed), "--schedules", "1", "--processes", "1", "--report", str(page)]
        assert main(many) == 1
    assert f"python -m tests.faults.simulation --seed {found.seed} --steps {found.step}" in page.read_text()
    assert page.read_text() in capsys.readouterr().out
