"""A sample of each named fault, with a real Redis behind a proxy; `make chaos` runs each in full."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lib.kairo_metrics.delivery.outbox import Outbox
from lib.kairo_metrics.model.batch import WRITER_LEASE_S
from tests.faults.chaos import trials
from tests.faults.chaos.__main__ import main
from tests.faults.chaos.books import FAMILIES
from tests.faults.chaos.faults import FAULTS, Run, own_redis, play
from tests.faults.chaos.instance_memory import Growth
from tests.support.redis_process import RedisProcess

SEED = 1
# The faults that are also tried with several shards: for the others the number of shards makes no difference.
SPREAD = ("reply cut", "request lost, connection", "killed", "failover")


@pytest.fixture(scope="module")
def process() -> Iterator[RedisProcess]:
    """Give a Redis that faults may stop and kill."""
    with own_redis() as process:
        yield process


def _is_chosen(run: Run) -> bool:
    return run.shards == 1 or (run.way == "async" and any(word in run.name for word in SPREAD))


@pytest.mark.long
@pytest.mark.parametrize("run", [run for run in Run.all(SEED, quick=True) if _is_chosen(run)], ids=str)
def test_every_increment_is_accounted_for_after(process: RedisProcess, run: Run) -> None:
    """After each fault, every increment that was sent is applied, counted as lost, or gone with its ended writer."""
    books = play(run, process)
    assert books.wrong == []
    for family in FAMILIES:
        assert books.applied[family] + books.lost[family] + books.gone[family] == books.sent[family] > 0
    assert books.lost.total() == 0 or FAULTS[run.name].may_lose
    if "far behind" in run.name or "lagged far" in run.name:
        assert all(books.lost[family] > 0 for family in FAMILIES)


def taking_gaps_for_evictions(settle: Callable[..., None]) -> Callable[..., None]:
    """Make an outbox treat every gap as an evicted record."""

    def settle_again(self: Outbox, batch: Any, verdict: Any) -> None:
        with mock.patch.object(Outbox, "_continues_as", return_value=True):
            settle(self, batch, verdict)

    return settle_again


def numbering_anew(take_next: Callable[..., Any]) -> Callable[..., Any]:
    """Make an outbox send a batch again under another id."""

    def take_next_anew(self: Outbox) -> Any:
        if self._unsettled and self.may_be_applied(self._unsettled[0]):
            batches = list(self._unsettled)
            self._start_writer()
            self._renumber(batches)
        return take_next(self)

    return take_next_anew


BROKEN: dict[str, tuple[str, Callable[[], AbstractContextManager[Any]]]] = {
    "batches that are numbered anew when they are sent again": (
        "reply lost, then refused",
        lambda: mock.patch.object(Outbox, "next", numbering_anew(Outbox.next)),
    ),
    "an outbox that keeps nothing": (
        "Redis killed, snapshot behind",
        lambda: mock.patch.object(Outbox, "_keep"),
    ),
    "an outbox that does not count what it loses": (
        "failover, replica lagged far",
        lambda: mock.patch.object(Outbox, "_count_lost"),
    ),
    "an outbox that takes an emptied state for an evicted record": (
        "Redis killed, no snapshot",
        lambda: mock.patch.object(Outbox, "settle", taking_gaps_for_evictions(Outbox.settle)),
    ),
    "records of writers that stay": (
        "writers come and go",
        lambda: mock.patch("tests.faults.chaos.crowd._SHORT_LEASE_S", WRITER_LEASE_S),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_protocol_is_found(process: RedisProcess, broken: str) -> None:
    """These tests can fail: each way to break the protocol makes the sums of a fault differ."""
    fault, breaking = BROKEN[broken]
    way = FAULTS[fault].ways[0]
    with breaking(), mock.patch("tests.faults.chaos.crowd._GONE_WITHIN_S", 0.5):
        assert play(Run(fault, SEED, way), process).wrong != []
    assert play(Run(fault, SEED, way), process).wrong == []


def test_a_seed_is_the_same_fault_in_every_run(process: RedisProcess) -> None:
    """A failure can be repeated: a seed gives the same requests, with the same cuts and gaps between them."""
    first, again = (play(Run("Redis killed, snapshot behind", 5), process) for _ in range(2))
    assert (first.sent, first.facts) == (again.sent, again.facts)
    assert play(Run("Redis killed, snapshot behind", 6), process).sent != first.sent


def test_the_report_says_what_happened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report lists each fault with its seed and what was sent, applied and lost; the simulation has its own."""
    page = tmp_path / "reports" / "chaos.txt"
    asked = ["--quick", "--seed", "3", "--way", "async", "--shards", "1", "--processes", "1"]
    chosen = ["--only", "script flush", "--only", "Redis killed, snapshot far behind"]
    assert main([*asked, *chosen, "--schedules", "2", "--report", str(page)]) == 0
    text = page.read_text()
    assert text in capsys.readouterr().out
    assert "everything passed" in text
    assert "2 schedules" in text
    assert "2 schedules" in page.with_name("simulation.txt").read_text()
    [[*_, sent, applied, lost, gone, _seconds]] = [
        line.split() for line in text.splitlines() if line.startswith("Redis killed, snapshot far behind")
    ]
    assert int(sent) == int(applied) + int(lost)
    assert int(lost) > 0
    assert gone == "0"


def test_a_failed_fault_is_reported_with_the_command_that_repeats_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report ends with the failure, its seed and a command; a crash is a failure, and the others still run."""
    asked = ["--quick", "--seed", "3", "--way", "async", "--shards", "1"]
    with mock.patch.object(Outbox, "_keep"):
        assert main([*asked, "--only", "Redis killed, snapshot behind"]) == 1
    printed = capsys.readouterr().out
    assert "SOMETHING FAILED" in printed
    assert "FAILED  Redis killed, snapshot behind, async, 1 shard, seed 3: jobs: -" in printed
    command = "-m tests.faults.chaos --only 'Redis killed, snapshot behind' --way async --shards 1 --seed 3 --quick"
    assert command in printed
    monkeypatch.setattr(RedisProcess, "save", None)
    assert main([*asked, "--only", "script flush", "--only", "Redis restarted"]) == 1
    assert capsys.readouterr().out.count("TypeError") == 2


@pytest.mark.long
def test_the_report_includes_trials(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The report shows what a trial counted; a trial that fails or crashes comes with the command that repeats it."""
    asked = ["--quick", "--seed", "3", "--only", "memory of one instance"]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert "everything passed" in printed
    assert "cap 500, label values 20,000, children (501, 501, 501)" in printed
    monkeypatch.setattr(trials, "_grow_apart", lambda *_asked: Growth(20_000, 1_000, 50_000, (501,), {}))
    monkeypatch.setattr(trials, "redis_cluster", None)
    assert main([*asked, "--only", "storm over a cluster"]) == 1
    printed = capsys.readouterr().out
    assert "SOMETHING FAILED" in printed
    assert "FAILED  memory of one instance, seed 3: it has grown by 49000 kB" in printed
    assert "-m tests.faults.chaos --only 'memory of one instance' --seed 3 --quick" in printed
    assert "FAILED  storm over a cluster, seed 3: TypeError" in printed
    assert "-m tests.faults.chaos --only 'storm over a cluster' --seed 3 --quick" in printed


def test_the_simulation_runs_alone_in_several_processes() -> None:
    """To find a failing schedule, a developer runs many schedules without faults and trials."""
    command = [sys.executable, "-m", "tests.faults.simulation", "--schedules", "4", "--processes", "2"]
    assert "4 schedules" in subprocess.run(command, check=True, capture_output=True, text=True).stdout
