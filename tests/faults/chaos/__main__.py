"""`python -m tests.faults.chaos` runs the simulation, every fault and every trial, and prints one report."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from rich.progress import Progress

from tests.faults.chaos.books import Books
from tests.faults.chaos.faults import FAULTS, Run, own_redis, play
from tests.faults.chaos.lab import Way
from tests.faults.chaos.report import Chaos, Played, Tried, page
from tests.faults.chaos.trials import TRIALS, Found, Trial, attempt
from tests.faults.simulation.__main__ import Outcome, run_all
from tests.faults.simulation.__main__ import report as simulation_page

_SCHEDULES = 100_000


def simulate(seeds: range, processes: int, progress: Progress) -> tuple[Outcome, float]:
    """Run schedules, and return their outcome and their duration in seconds."""
    outcome, began_s = Outcome(), time.monotonic()
    task = progress.add_task("simulation", total=len(seeds), visible=bool(seeds))
    for done, some in run_all(seeds, processes):
        outcome.add(some)
        progress.update(task, advance=done, description=f"simulation, {len(outcome.failures)} failed")
    return outcome, time.monotonic() - began_s


def play_all(runs: Sequence[Run], progress: Progress) -> list[Played]:
    """Run faults, each with its own Redis; an exception counts as a failure."""
    played = []
    for name in dict.fromkeys(run.name for run in runs):
        chosen = [run for run in runs if run.name == name]
        task = progress.add_task(name, total=len(chosen))
        for number, run in enumerate(chosen):

            def tick(share: float, number: int = number) -> None:
                progress.update(task, completed=number + share)  # noqa: B023  this task ends before the next one begins

            played.append(_play(run, tick))
            progress.update(task, completed=number + 1)
    return played


def _play(run: Run, tick: Callable[[float], None]) -> Played:
    began_s = time.monotonic()
    try:
        with own_redis() as process:
            books = play(run, process, tick)
    except Exception as err:  # noqa: BLE001  after any error the others still run
        books = Books(wrong=[f"{type(err).__name__}: {err}"])
    return Played(run, books, time.monotonic() - began_s)


def try_all(trials: Sequence[Trial], progress: Progress) -> list[Tried]:
    """Run trials; an exception counts as a failure."""
    tried = []
    for trial in trials:
        task, began_s = progress.add_task(trial.name, total=1), time.monotonic()
        try:
            found = attempt(trial, lambda share, task=task: progress.update(task, completed=share))  # type: ignore[misc]
        except Exception as err:  # noqa: BLE001  after any error the others still run
            found = Found([], [f"{type(err).__name__}: {err}"])
        tried.append(Tried(trial, found, time.monotonic() - began_s))
        progress.update(task, completed=1)
    return tried


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments name, and print the report; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of faults, trials and the first schedule")
    parser.add_argument(
        "--schedules", type=int, help=f"number of simulated schedules (default: {_SCHEDULES}; with --only: 0)"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="processes for the simulation")
    parser.add_argument("--quick", action="store_true", help="run only a sample of each fault and trial")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*FAULTS, *TRIALS],
        metavar="NAME",
        help="run this fault or trial; may be repeated",
    )
    parser.add_argument("--way", choices=get_args(Way), help="how instances flush (default: both ways); runs no trials")
    parser.add_argument("--shards", type=int, help="number of shards (default: both 1 and 4); runs no trials")
    parser.add_argument("--report", type=Path, help="also write the report to this file, and simulation.txt beside it")
    asked = parser.parse_args(arguments)
    logging.getLogger("kairo_metrics").setLevel(logging.ERROR)  # failed flushes are expected here
    schedules = (0 if asked.only else _SCHEDULES) if asked.schedules is None else asked.schedules
    seeds = range(asked.seed, asked.seed + schedules)
    runs = [
        run
        for run in Run.all(asked.seed, quick=asked.quick)
        if run.name in (asked.only or FAULTS) and asked.way in {None, run.way} and asked.shards in {None, run.shards}
    ]
    trials = [
        Trial(name, asked.seed, asked.quick)
        for name in TRIALS
        if name in (asked.only or TRIALS) and asked.way is asked.shards is None
    ]
    with Progress() as progress:
        outcome, seconds = simulate(seeds, asked.processes, progress)
        if asked.report:
            asked.report.parent.mkdir(parents=True, exist_ok=True)
            if schedules:  # now, because the faults take long
                asked.report.with_name("simulation.txt").write_text(simulation_page(seeds, outcome, seconds))
        chaos = Chaos(seeds, outcome, seconds, play_all(runs, progress), try_all(trials, progress))
    text = page(chaos)
    if asked.report:
        asked.report.write_text(text)
    sys.stdout.write(text)
    return 0 if chaos.passed else 1


if __name__ == "__main__":
    sys.exit(main())
